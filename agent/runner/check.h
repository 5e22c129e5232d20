// agent/runner/check.h -- `millwright-runner --check`: the factory's check of a package, done where a hostile one does no harm.
#pragma once

#include <string>

namespace mill::runner {

/// Confines this process, loads the package and prints what is wrong: one JSON document {valid, findings, manifest}, or lines.
/// Returns the exit status: 0, 65 (errors), 70 (our own failure).
int check_package(const std::string& path, bool json);

}  // namespace mill::runner
