// factory/check/ending.h -- what it means how a run of millwright-runner in its sandbox ended. factory/check/ only.
#pragma once

#include <optional>
#include <string_view>

#include "platform/base/limits.h"
#include "platform/base/result.h"
#include "platform/process.h"
#include "platform/sandbox.h"

namespace mill::factory {

inline constexpr int kDataError = 65, kUsage = 64, kNoMemory = 71, kNotConfined = 77;

Error stopping();
/// Why there is no answer to rely on; nothing when it ended in its own way. `what`: "check", "evaluation". `said`: its standard error.
std::optional<Error> bad_ending(const platform::Ending& ending, std::string_view said, const Limits& limits, std::string_view what);

/// A job's sandbox with nothing granted.
platform::SandboxSpec bare_sandbox(const std::string& runner, std::vector<std::string> arguments);
std::string runner_or_sibling(const std::string& runner);
std::string missing_runner(const std::string& runner);

}  // namespace mill::factory
