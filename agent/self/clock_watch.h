// agent/self/clock_watch.h -- what happened to this machine's clocks since the last look.
#pragma once

#include "platform/base/clock.h"

namespace mill::agent {

/// A suspend moves the clock that counts sleep, somebody's hand (or NTP) the one on the wall. Thread: one.
class ClockWatch {
public:
    explicit ClockWatch(const Clock& clock);
    /// True after a suspend: what was open is stale.
    bool look();

private:
    Microseconds slept() const;
    Microseconds wall() const;
    const Clock& clock_;
    Microseconds slept_, wall_;
};

}  // namespace mill::agent
