// agent/keeper/child.h -- a program of ours that is started again when it ends, each time a little later.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/keeper/peer.h"
#include "platform/process.h"

namespace mill::keeper {

/// The agent or the broker with its channel (descriptor 3 in the child).
class Child {
public:
    explicit Child(platform::ProcessSpec spec) : spec_(std::move(spec)) {}

    void want() { wanted_ = true; }
    bool is_running() const { return process_ != nullptr; }
    bool is_due(std::chrono::steady_clock::time_point now) const { return wanted_ && !process_ && now >= next_; }
    std::chrono::steady_clock::time_point next() const { return next_; }
    bool is_wanted() const { return wanted_; }

    Status start();
    /// Its ending when it has ended: then it is due again after a pause that grows up to 5 s, and starts anew after a good while.
    std::optional<platform::Ending> collect();
    void at_once() { next_ = {}, pause_ = {}; }   ///< its end was wanted: no pause
    void signal(int number);
    /// SIGTERM, SIGKILL after `grace`; not wanted any more. Blocks up to `grace`.
    void end(std::chrono::milliseconds grace);
    const platform::Handle* end_handle() const { return process_ ? &process_->end_handle() : nullptr; }

    /// What each start hands over as descriptor 4, with `variable` set to "4"; an invalid one: nothing.
    void hand_over(std::string variable, std::function<platform::Handle()> make) { variable_ = std::move(variable), hand_over_ = std::move(make); }

    Peer peer;

private:
    void later();
    platform::ProcessSpec spec_;
    std::unique_ptr<platform::Process> process_;
    std::string variable_;
    std::function<platform::Handle()> hand_over_;
    bool wanted_ = false;
    std::chrono::milliseconds pause_{0};
    std::chrono::steady_clock::time_point started_, next_;
};

}  // namespace mill::keeper
