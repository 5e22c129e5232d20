// agent/options.h -- the command line of millwright-agent.
#pragma once

#include <string>
#include <vector>

#include "agent/app.h"
#include "agent/attend/attend.h"
#include "agent/enrol.h"
#include "agent/self/control_command.h"
#include "agent/self/doctor.h"
#include "agent/service_command.h"

namespace mill::agent {

struct Options {
    enum class Command { help, version, enrol, run, serve, once, policy_test, credentials, rotate, seal, control, doctor, service, attend, open } command = Command::help;
    EnrolOptions enrol;
    std::string code_file;     ///< instead of --code; "-" is standard input
    ServeOptions serve;        ///< run and serve
    std::string request;       ///< once
    std::string document;      ///< policy test; the policy is that of serve.data_folder
    std::string signatures;    ///< policy test: NAME-VERSION.mwp.sig
    bool check = false;        ///< credentials: reads what they hold, too; seal: --undo
    bool json = false;
    ControlOptions control;
    DoctorOptions doctor;
    ServiceRequest service;
    AttendOptions attend;
    OpenOptions open;
};

/// Errors: invalid, naming the option.
Result<Options> parse_options(const std::vector<std::string>& arguments);
std::string help_text();

}  // namespace mill::agent
