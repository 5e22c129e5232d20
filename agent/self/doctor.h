// agent/self/doctor.h -- what of this machine, this folder and the way to the factory keeps jobs from running, and what mends it.
#pragma once

#include <string>
#include <vector>

#include "platform/base/json.h"

namespace mill::agent {

struct Finding {
    std::string code;       ///< stable; see docs/operating.md
    std::string state;      ///< "ok", "warning", "error"
    std::string text;       ///< what was seen
    std::string fix;        ///< what to type or whom to ask; empty when all is well
};

struct DoctorOptions {
    std::string data_folder, config_path;
    bool json = false;
};

/// Looks, and changes nothing; the agent may run meanwhile. Blocks: up to half a minute when the factory does not answer.
std::vector<Finding> examine(const DoctorOptions& options);
/// Prints them. 0 when nothing is an error, else 1.
int run_doctor(const DoctorOptions& options);

}  // namespace mill::agent
