// agent/outbox.h -- what is said to a runner: as much as its channel takes, the rest when there is room. One that does not read holds up nobody.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "platform/base/clock.h"
#include "platform/channel.h"

namespace mill::agent {

/// Never blocks. Thread: one.
class Outbox {
public:
    /// False: too much waits for a runner that does not read.
    bool say(const platform::Channel& channel, std::string text, SteadyTime now);
    /// Sends what goes now.
    void go_on(const platform::Channel& channel, SteadyTime now);
    bool waits() const { return !queue_.empty(); }
    /// When the runner counts as one that does not read; nothing while nothing waits.
    std::optional<SteadyTime> end() const;
    void clear();

private:
    std::deque<std::string> queue_;
    std::size_t bytes_ = 0;
    std::size_t sent_ = 0;      // of the first
    bool begun_ = false;        // the first
    SteadyTime moved_;          // when something went, the last time
};

}  // namespace mill::agent
