#include "factory/dispatch/ageing.h"

#include <algorithm>

namespace mill::factory::dispatch {
namespace {

constexpr Milliseconds kNever = std::chrono::hours(24 * 366 * 1'000);   // a step that nobody lives to see
constexpr Turn kAhead = 4'000'000'000'000'000'000;                      // more than all steps of the longest period

}  // namespace

Turn turn_of(int priority, WallTime arrived, Milliseconds ageing)
{
    const Turn step = std::chrono::duration_cast<Microseconds>(ageing.count() > 0 ? ageing : kNever).count();
    return arrived.microseconds - priority * step - (priority >= kUrgent ? kAhead : 0);
}

int aged_priority(int priority, Milliseconds waited, Milliseconds ageing)
{
    if (ageing.count() <= 0 || waited.count() <= 0) return priority;
    const std::int64_t most = priority >= kUrgent ? 100 : kUrgent - 1;
    return static_cast<int>(std::max<std::int64_t>(priority, std::min(most, priority + waited / ageing)));
}

}  // namespace mill::factory::dispatch
