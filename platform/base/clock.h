// platform/base/clock.h -- the two times of the system: wall time to show and schedule with, steady time to wait with.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill {

using Milliseconds = std::chrono::milliseconds;
using Microseconds = std::chrono::microseconds;

/// Wall time, microseconds since 1970-01-01T00:00:00Z. Shown and scheduled with; never compared across machines.
struct WallTime {
    std::int64_t microseconds = 0;
    auto operator<=>(const WallTime&) const = default;
    WallTime operator+(Microseconds d) const { return {microseconds + d.count()}; }
    WallTime operator-(Microseconds d) const { return {microseconds - d.count()}; }
    Microseconds operator-(WallTime other) const { return Microseconds(microseconds - other.microseconds); }
};

/// Time since boot including sleep (CLOCK_BOOTTIME): leases, deadlines, back-off. Means nothing on another machine.
struct SteadyTime {
    std::int64_t microseconds = 0;
    auto operator<=>(const SteadyTime&) const = default;
    SteadyTime operator+(Microseconds d) const { return {microseconds + d.count()}; }
    SteadyTime operator-(Microseconds d) const { return {microseconds - d.count()}; }
    Microseconds operator-(SteadyTime other) const { return Microseconds(microseconds - other.microseconds); }
};

/// "2026-11-22T13:40:01.123456Z" (RFC 3339, UTC, six decimals).
std::string format_time(WallTime time);
/// Reads RFC 3339 with any offset. Errors: invalid.
Result<WallTime> parse_time(std::string_view text);

/// "250ms", "60s", "10m", "2h", "1d", "1h30m". Errors: invalid.
Result<Milliseconds> parse_duration(std::string_view text);
std::string format_duration(Milliseconds duration);  ///< "1h30m", "60s" as "1m", "250ms"

/// Thread: any.
class Clock {
public:
    virtual ~Clock() = default;
    virtual WallTime now() const = 0;
    virtual SteadyTime steady() const = 0;
    /// Sleeps until `duration` is over or `stop` is requested; says whether it slept to the end.
    virtual bool sleep(Milliseconds duration, std::stop_token stop) const = 0;
};

/// The machine's clock; lives as long as the process.
Clock& system_clock();

/// A clock that stands until the test moves it; sleepers return at once. Thread: any.
class FakeClock : public Clock {
public:
    explicit FakeClock(WallTime start = {1'700'000'000'000'000}) : wall_(start) {}
    WallTime now() const override;
    SteadyTime steady() const override;
    bool sleep(Milliseconds duration, std::stop_token stop) const override;  ///< advances the clock
    void advance(Microseconds duration);

private:
    mutable std::mutex mutex_;
    mutable WallTime wall_;
    mutable SteadyTime steady_{1'000'000};
};

}  // namespace mill
