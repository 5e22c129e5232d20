// agent/self/control_command.h -- status, reload, renew, pause, resume, drain and stop, as a person types them.
#pragma once

#include <string>

namespace mill::agent {

struct ControlOptions {
    std::string verb;            ///< status, reload, renew, pause, resume, drain, stop
    std::string data_folder;
    std::string why, until, time, after, within;   ///< as typed; `time` of --for
    bool json = false, no_wait = false;
};

/// Prints; returns the exit status: 0 done, 1 (status) something is wrong, 2 the agent answers not or not in time, 3 no agent runs there, 64 usage, 78 refused.
int run_control(const ControlOptions& options);

}  // namespace mill::agent
