// agent/enrol.h -- makes this machine an agent of a factory: a key made here, a one-use code swapped for an identity.
#pragma once

#include <string>

#include "agent/identity.h"

namespace mill::agent {

struct EnrolOptions {
    std::string data_folder;
    std::string config_path;
    std::string factory;           ///< URL
    std::string code;              ///< secret
    std::string name;              ///< empty: the host's
    protocol::AgentMode mode = protocol::AgentMode::unattended;
    bool insecure = false;         ///< plain text to another machine
};

struct Enrolled {
    Identity identity;
    bool approved = true;
};

/// Errors: invalid (URL, name), denied (the code is wrong, used or over), conflict (name taken, enrolled already, folder in use),
/// unavailable and timeout (factory not reachable). `what` says what to do about it.
Result<Enrolled> enrol(const EnrolOptions& options);

}  // namespace mill::agent
