// factory/http/detail/deadline.h -- the one deadline of a connection, moved from phase to phase.
#pragma once

#include <chrono>

#include <boost/asio/basic_waitable_timer.hpp>

#include "factory/http/detail/sockets.h"

namespace mill::factory::detail {

using Timer = net::basic_waitable_timer<std::chrono::steady_clock, net::wait_traits<std::chrono::steady_clock>, Strand>;

/// One timer, moved lazily: putting the deadline off (each request does) costs a store; the timer looks again when it fires.
/// Thread: the strand.
class Deadline {
public:
    explicit Deadline(const Strand& strand) : timer_(strand) {}

    /// Calls `owner.expired()` when `wait` is over and neither arm, disarm nor cancel came in between.
    template <class Owner> void arm(std::chrono::milliseconds wait, Owner& owner)
    {
        at_ = std::chrono::steady_clock::now() + wait;
        if (set_ && timer_.expiry() <= at_) return;
        set(owner);
    }
    void disarm() { at_ = Time::max(); }
    void cancel()
    {
        disarm();
        timer_.cancel();
    }

private:
    using Time = std::chrono::steady_clock::time_point;

    template <class Owner> void set(Owner& owner)
    {
        set_ = true;
        timer_.expires_at(at_);
        timer_.async_wait([this, weak = owner.weak_from_this()](ErrorCode error) {
            const auto self = weak.lock();
            if (!self || error) return;
            set_ = false;
            if (std::chrono::steady_clock::now() >= at_) self->expired();
            else if (at_ != Time::max()) set(*self);
        });
    }

    Timer timer_;
    Time at_ = Time::max();
    bool set_ = false;
};

}  // namespace mill::factory::detail
