// agent/runner/pace.h -- the time that the interpreter sees: the machine's, standing still while somebody steps, jumping in a test.
#pragma once

#include <optional>

#include "platform/base/clock.h"

namespace mill::runner {

/// Thread: one.
class Pace {
public:
    explicit Pace(const Clock& clock) : clock_(clock) {}

    SteadyTime steady() const { return held_ ? *held_ : clock_.steady() + ahead_; }
    /// Wall time goes on while the run stands still, and jumps with it.
    WallTime now() const { return clock_.now() + set_ + jumped_; }
    /// When the machine's clock will show what the run calls `time`.
    SteadyTime real(SteadyTime time) const { return time - ahead_; }

    void hold() { if (!held_) held_ = steady(); }
    void release()
    {
        if (!held_) return;
        ahead_ = *held_ - clock_.steady();
        held_.reset();
    }
    void jump_to(SteadyTime time)
    {
        const Microseconds further = time - steady();
        if (further.count() <= 0) return;
        ahead_ += further;
        jumped_ += further;
    }
    void begin_at(WallTime time) { set_ = time - clock_.now(); }
    Microseconds jumped() const { return jumped_; }

private:
    const Clock& clock_;
    Microseconds ahead_{0}, jumped_{0}, set_{0};
    std::optional<SteadyTime> held_;
};

}  // namespace mill::runner
