// agent/service_command.h -- `millwright-agent service`: the agent as a service of systemd where no package made it one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/service_unit.h"
#include "platform/process.h"

namespace mill::agent {

struct ServiceRequest {
    enum class Action { install, uninstall, start, stop, status, check } action = Action::status;
    ServiceScope scope = ServiceScope::system;
    std::string data;    ///< absolute; empty: what the unit says, else the usual folder
    std::string config;  ///< install; absolute
    bool json = false;   ///< status
};

/// What it acts on. A test makes its own.
struct ServiceWorld {
    std::string unit_folder;                   ///< where `install` writes
    std::vector<std::string> package_folders;  ///< where a package has its unit
    std::string program;                       ///< this millwright-agent
    std::string usual_data;
    std::string companion, autostart_folder;   ///< of a person's desktop; `companion` empty: it is not installed beside us
    bool root = false;
    bool systemd = false;                      ///< the manager of this scope runs
    /// systemctl with these arguments (and --user in that scope). Errors: not_found, unavailable, timeout.
    std::function<Result<platform::Captured>(const std::vector<std::string>&)> systemctl;
    std::function<Status(const std::string& users)> make_users;  ///< as systemd-sysusers does
};
ServiceWorld service_world(ServiceScope scope);

struct ServiceAnswer {
    int status = 0;    ///< 0 done; of `status` as systemctl: 3 not running, 4 not installed; of `check` 1: not enrolled; 64, 77, 78
    std::string text;  ///< whole lines, for a person or a program
    bool refused = false;  ///< or failed: the text is for standard error
};
/// Blocks: while systemctl does (a start up to a minute and a half).
ServiceAnswer run_service(const ServiceRequest& request, const ServiceWorld& world);

/// What to type so that an enrolled folder's agent runs: its service where it has one, else the program.
std::string how_to_run(const std::string& data);

/// Runs and prints it; the exit status.
int service_command(const ServiceRequest& request);

}  // namespace mill::agent
