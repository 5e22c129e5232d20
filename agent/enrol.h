// agent/enrol.h -- makes this machine an agent of a factory: a key made here, a one-use code swapped for an identity.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "agent/admission.h"
#include "agent/identity.h"

namespace mill::agent {

struct EnrolOptions {
    std::string data_folder;
    std::string config_path;
    std::string factory;           ///< URL
    std::string code;              ///< secret; empty: an administrator admits it while it waits
    std::string name;              ///< empty: as it was enrolled before, else the host's
    std::optional<protocol::AgentMode> mode{};   ///< nothing: as the invitation says, else unattended
    bool insecure = false;         ///< plain text to another machine
    std::string environment{};     ///< wished, without a code
    std::string through{};         ///< socket of the machine's agent, which says who this person is: no code, attended; `factory` may be left out
    std::function<void(const Waiting&)> show{};   ///< without a code
};

struct Enrolled {
    Identity identity;
    bool approved = true;
    bool again = false;            ///< in place of an identity that the factory refused
    bool running = false;          ///< an agent runs in the folder, and serves the new factory after its next start or reload
    std::string note;              ///< what a person should know besides, or empty
};

/// Beside what the folder is enrolled at already: an agent may have several factories. In a folder whose identity the factory refuses (revoked, deleted, its key copied) the new one takes its place; what the journal still
/// has to report stays. Errors: invalid (URL, name), denied (the code is wrong, used or over; refused), conflict (name taken, enrolled and
/// working, folder in use), unavailable and timeout (factory not reachable; nobody decided), cancelled. `what` says what to do about it.
Result<Enrolled> enrol(const EnrolOptions& options, std::stop_token stop = {});

}  // namespace mill::agent
