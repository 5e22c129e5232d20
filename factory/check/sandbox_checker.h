// factory/check/sandbox_checker.h -- checks by millwright-runner in a sandbox in which nothing is allowed: the same as a job's, with no grant.
#pragma once

#include <chrono>
#include <memory>

#include "factory/check/checker.h"
#include "platform/base/units.h"

namespace mill::factory {

struct SandboxCheckerOptions {
    std::string staging;                      ///< folder for uploaded bytes on their way; what lies there is removed at the start
    std::string runner;                       ///< empty: millwright-runner beside this program
    std::chrono::milliseconds time{30'000};   ///< of one package, by the clock and by the processor
    ByteCount memory = mebibytes(1024);       ///< a package of 256 MiB takes more than twice that
    std::chrono::milliseconds input_time{10'000}, input_cpu{3'000};
    ByteCount input_memory = mebibytes(256);
    std::size_t at_once = 2;                  ///< sandboxes for packages, and as many for inputs
    std::size_t packages_waiting = 32, inputs_waiting = 256;
};

/// Owns its threads: each starts its sandboxes itself and lives as long as the checker, since bubblewrap dies with the thread
/// that started it. Errors: denied, unavailable (the staging folder).
Result<std::unique_ptr<PackageChecker>> make_sandbox_checker(SandboxCheckerOptions options);

}  // namespace mill::factory
