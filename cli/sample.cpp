#include "cli/sample.h"

#include <algorithm>

namespace mill::cli {

Json sample_of(const Json& schema, int depth)
{
    if (!schema.is_object() && depth > 0) return "text";   // a required member of which nothing more is said
    if (!schema.is_object() || depth > 16) return Json::object();
    if (schema.contains("default")) return schema["default"];
    if (!schema["examples"].empty()) return schema["examples"][std::size_t{0}];
    if (schema.contains("example")) return schema["example"];
    if (schema.contains("const")) return schema["const"];
    if (!schema["enum"].empty()) return schema["enum"][std::size_t{0}];
    for (const char* choice : {"oneOf", "anyOf", "allOf"})
        if (!schema[choice].empty()) return sample_of(schema[choice][std::size_t{0}], depth + 1);

    const std::string& type = schema["type"].is_array() ? schema["type"][std::size_t{0}].as_string() : schema["type"].as_string();
    if (type == "string") {
        std::string text = "text";
        const auto least = static_cast<std::size_t>(std::clamp<std::int64_t>(schema["minLength"].as_integer(), 0, 200));
        while (text.size() < least) text += 'x';
        return text;
    }
    if (type == "integer" || type == "number") return schema.contains("minimum") ? schema["minimum"] : Json(1);
    if (type == "boolean") return true;
    if (type == "null") return nullptr;
    if (type == "array") {
        Json out = Json::array();
        for (std::int64_t i = 0; i < std::clamp<std::int64_t>(schema["minItems"].as_integer(), 0, 16); ++i) out.push(sample_of(schema["items"], depth + 1));
        return out;
    }
    Json out = Json::object();
    for (const Json& name : schema["required"].as_array()) out.set(name.as_string(), sample_of(schema["properties"][name.as_string()], depth + 1));
    return out;
}

std::string shell_quoted(std::string_view text)
{
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') out += "'\\''";
        else out += c;
    }
    return out + "'";
}

}  // namespace mill::cli
