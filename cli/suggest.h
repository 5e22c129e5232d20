// cli/suggest.h -- words for a command line that was not understood.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace mill::cli {

/// What the option reader said, with the nearest command when the first word is none, and where help is. `commands`: full names.
std::string explain_usage(std::string_view what, const std::vector<std::string>& words, const std::set<std::string>& commands);

}  // namespace mill::cli
