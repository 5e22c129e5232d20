// factory/check/report.h -- reads what `millwright-runner --check` and `--check-input` print. Hostile: whoever wrote the package may have written it.
#pragma once

#include "factory/check/checker.h"

namespace mill::factory {

inline constexpr std::size_t kMostReport = 4UL * 1024 * 1024;

/// Errors: corrupt (no such report; the bytes are no package: "not a package: …"), too_large.
Result<CheckedPackage> parse_package_report(std::string_view text);
/// Errors: corrupt.
Result<std::vector<std::string>> parse_input_report(std::string_view text);

/// Text from outside for a person: one line, no control characters, at most `most` bytes, whole UTF-8 characters.
std::string one_line(std::string_view text, std::size_t most = 500);

}  // namespace mill::factory
