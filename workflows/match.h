// workflows/match.h -- an expected value against an actual one: where they differ.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "platform/base/json.h"

namespace mill::workflows {

struct Difference {
    std::string path;                     ///< JSON pointer, "" is the whole
    std::optional<Json> expected, actual; ///< nothing: not there
};

/// `partial`: an object may have more members than expected, at any depth; an array has the expected items, each partial.
enum class Match { exact, partial };

/// At most `most` of them, in the order of `expected`.
std::vector<Difference> differences(const Json& expected, const Json& actual, Match how, std::size_t most = 20);
inline bool fits(const Json& expected, const Json& actual, Match how) { return differences(expected, actual, how, 1).empty(); }

}  // namespace mill::workflows
