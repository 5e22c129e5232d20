// workflows/path.h -- plain jq paths (`.a.b[0]`, `$context.x`, `$input`) that need no jq.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace mill::workflows {

struct PlainPath {
    std::string root;                                       ///< "" is the data, else a variable's name
    std::vector<std::variant<std::string, long long>> steps;  ///< member or index (negative: from the end)
};

/// Nothing when it is more than a plain path.
std::optional<PlainPath> parse_plain_path(std::string_view text);

/// Each `$secrets…` that stands in a jq text, as a path; those that are none are left out.
std::vector<PlainPath> secret_paths(std::string_view text);

}  // namespace mill::workflows
