// In which order what waits has its turn (factory/dispatch/ageing.h).
#include <fmt/format.h>

#include "factory/core/core_impl.h"

namespace mill::factory::core {

Status CoreImpl::count_turns()
{
    const std::string now = format_duration(options_.ageing);
    const auto counted = writer_.read().setting("ageing");
    if (counted && *counted == now) return {};
    if (!counted && counted.error().code != Errc::not_found) return fail(counted.error());
    if (auto ok = writer_.begin(); !ok) return ok;
    auto ok = writer_.count_turns([this](int priority, WallTime created) { return turn_of(priority, created); });
    if (ok) ok = writer_.put_setting("ageing", now);
    if (ok) ok = writer_.commit();
    if (!ok) writer_.rollback();
    return ok;
}

std::optional<WhyReason> CoreImpl::why_aged(int priority, WallTime arrived) const
{
    const Milliseconds waited = std::chrono::duration_cast<Milliseconds>(clock_.now() - arrived);
    const int now = dispatch::aged_priority(priority, waited, options_.ageing);
    if (now == priority) return std::nullopt;
    return WhyReason{"priority", std::to_string(now),
                     fmt::format("priority {}, counts as {} after {}", priority, now, format_duration(std::chrono::floor<std::chrono::minutes>(waited))), ""};
}

}  // namespace mill::factory::core
