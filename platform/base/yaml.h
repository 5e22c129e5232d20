// platform/base/yaml.h -- YAML 1.2 (core schema) as our JSON value, with the place of every node (yaml-cpp behind it).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"

namespace mill {

struct Mark {
    int line = 1, column = 1;  ///< both from 1
};

struct YamlLimits {
    std::size_t bytes = 1024 * 1024;
    std::size_t nodes = 100'000;
    std::size_t depth = 64;
    bool scalar_keys = false;  ///< `200:` is the key "200" (other people's documents), instead of a mistake
};

using Marks = std::map<std::string, Mark, std::less<>>;  ///< JSON pointer → where the value (for a member: its key) stands
Mark nearest_mark(const Marks& marks, std::string_view pointer);  ///< of the node, else of its nearest parent

struct YamlDocument {
    Json value;
    Marks marks;
    Mark mark(std::string_view pointer) const { return nearest_mark(marks, pointer); }
};

/// One document. Aliases, anchors, custom tags, duplicate keys, keys that are no strings, merge keys and a second document are
/// refused. Errors: invalid ("LINE:COLUMN: message"), too_large.
Result<YamlDocument> parse_yaml(std::string_view text, const YamlLimits& limits = {});
/// Documents separated by `---`.
Result<std::vector<YamlDocument>> parse_yaml_stream(std::string_view text, const YamlLimits& limits = {});
/// Writes block-style YAML that parse_yaml reads back as the same value.
std::string dump_yaml(const Json& value);

}  // namespace mill
