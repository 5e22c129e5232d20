// agent/once.h -- runs one package for a person at this machine: `millwright run`. The same keeper, sandbox, broker and runner as a job.
#pragma once

#include <string>

namespace mill::agent {

/// Reads the request file (agent/README.md), runs it, prints one JSON line for each thing that happens, the last one `ended`.
/// Returns the exit status: 0 whenever `ended` was printed, 64 a request that is wrong, 70 our own failure, 77 no sandbox here.
int run_once(const std::string& request_path);

}  // namespace mill::agent
