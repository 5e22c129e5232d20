#include "factory/core/core_impl.h"

namespace mill::factory::core {

void CoreImpl::publish(std::vector<MetricPoint> points, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [this, points = std::move(points)]() -> Result<Nothing> {
        for (const MetricPoint& point : points)
            if (auto ok = writer_.publish(point, clock_.now()); !ok) return fail(ok.error());
        return Nothing{};
    });
}

}  // namespace mill::factory::core
