#include "agent/self/clock_watch.h"

#include "platform/base/log.h"

namespace mill::agent {
namespace {

constexpr std::chrono::seconds kJump{2};

std::string whole_seconds(Microseconds time) { return format_duration(std::chrono::floor<std::chrono::seconds>(time)); }

}  // namespace

ClockWatch::ClockWatch(const Clock& clock) : clock_(clock), slept_(slept()), wall_(wall()) {}

bool ClockWatch::look()
{
    const Microseconds slept_now = slept(), wall_now = wall();
    const Microseconds sleep = slept_now - slept_, jump = wall_now - wall_;
    slept_ = slept_now;
    wall_ = wall_now;
    if (sleep > kJump) log::info("clock", "this machine slept for {} until {}", whole_seconds(sleep), format_time(clock_.now()));
    if (jump > kJump || jump < -kJump)
        log::warning("clock", "the clock on the wall was set {} by {}; leases and deadlines do not follow it", jump.count() > 0 ? "forward" : "back", whole_seconds(std::chrono::abs(jump)));
    return sleep > kJump;
}

Microseconds ClockWatch::slept() const
{
    return Microseconds(clock_.steady().microseconds) - std::chrono::duration_cast<Microseconds>(std::chrono::steady_clock::now().time_since_epoch());
}

Microseconds ClockWatch::wall() const { return Microseconds(clock_.now().microseconds - clock_.steady().microseconds); }

}  // namespace mill::agent
