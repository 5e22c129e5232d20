// agent/companion/own_agent.h -- an agent that the companion starts, where nothing else does (--with-agent).
#pragma once

#include <memory>
#include <string>

#include "platform/process.h"

namespace mill::companion {

/// Thread: one.
class OwnAgent {
public:
    OwnAgent(std::string data, std::string config) : data_(std::move(data)), config_(std::move(config)) {}
    /// Nothing when one runs already. Blocks, for a moment.
    void start();
    const platform::Handle* ended() const { return process_ ? &process_->end_handle() : nullptr; }
    void on_ended();    ///< says so; a person may have stopped it, so it stays stopped
    /// Ends whichever runs there: an earlier companion may have started it. Blocks, at most half a minute.
    void end();

private:
    const std::string data_, config_;
    std::unique_ptr<platform::Process> process_;
};

}  // namespace mill::companion
