// workflows/schema_source.h -- a JSON Schema as written, made fit for the validator: what would hurt or mislead it is refused; private to schema*.cpp.
#pragma once

#include <regex>
#include <string>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "platform/base/json.h"

namespace mill::workflows {

/// The name under which `format` is handed on, so that our own check is used.
inline constexpr const char* kFormat = "mill:format";

struct SchemaSource {
    nlohmann::json document;
    std::unordered_map<std::string, std::regex> patterns;  ///< each `pattern`, matched in time that grows with the text alone
    bool names_matched = false;                            ///< patternProperties is used
};

nlohmann::json to_nlohmann(const Json& value);

/// Errors: invalid (an unknown dialect or keyword, a bad pattern, references that leave the document, lead in a circle or are too many).
Result<SchemaSource> read_schema(const Json& document);

}  // namespace mill::workflows
