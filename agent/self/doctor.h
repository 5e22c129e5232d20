// agent/self/doctor.h -- what of this machine, this folder and the way to the factory keeps jobs from running, and what mends it.
#pragma once

#include <string>
#include <vector>

#include "platform/base/finding.h"

namespace mill::agent {

struct DoctorOptions {
    std::string data_folder, config_path;
    bool json = false;
    std::string factory{};   ///< the id of one: the report is for it, and says nothing of others that the agent serves
};

/// Looks, and changes nothing but the counter of sessions when no agent runs with the folder (it asks for a token then, to prove the key); the
/// agent may run meanwhile. Blocks: up to a minute when the factory does not answer.
std::vector<Finding> examine(const DoctorOptions& options);
/// Prints them. 0 when nothing is an error, else 1.
int run_doctor(const DoctorOptions& options);

}  // namespace mill::agent
