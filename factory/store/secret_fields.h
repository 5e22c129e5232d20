// factory/store/secret_fields.h -- what a JSON schema marks as for no eyes: `format: password`, `writeOnly: true`.
#pragma once

#include <string_view>

#include "platform/base/json.h"

namespace mill::factory {

/// Values for people and for those who are told, without what their schema marks. Where a schema is more than it looks through, nothing is shown of that place.
class SecretFields {
public:
    static Json hidden_in(const Json& schema, const Json& value) { return SecretFields(schema).hidden(schema, value, 0); }

private:
    static constexpr int kSteps = 20'000, kDepth = 100;
    static constexpr std::string_view kHidden = "…";

    explicit SecretFields(const Json& root) : root_(root) {}

    /// `#/$defs/login`; null: another document's, or none.
    const Json* referred(std::string_view to) const
    {
        if (!to.starts_with('#')) return nullptr;
        const Json* at = &root_;
        for (to.remove_prefix(1); at != nullptr && !to.empty();) {
            if (to.front() != '/') return nullptr;
            to.remove_prefix(1);
            const auto end = to.find('/');
            at = at->find(to.substr(0, end));
            to = end == std::string_view::npos ? std::string_view() : to.substr(end);
        }
        return at;
    }

    Json hidden(const Json& schema, Json value, int depth)
    {
        if (!schema.is_object() || value.is_null()) return value;
        if (depth > kDepth || --left_ < 0) return Json(std::string(kHidden));
        if (schema["format"].as_string() == "password" || schema["writeOnly"].as_bool()) return Json(std::string(kHidden));
        if (schema.contains("$dynamicRef")) return Json(std::string(kHidden));
        if (const Json& to = schema["$ref"]; to.is_string()) {
            const Json* found = referred(to.as_string());
            if (found == nullptr) return Json(std::string(kHidden));
            value = hidden(*found, std::move(value), depth + 1);
        }
        for (const char* every : {"allOf", "anyOf", "oneOf"})
            for (const Json& one : schema[every].as_array()) value = hidden(one, std::move(value), depth + 1);
        for (const char* one : {"if", "then", "else"}) value = hidden(schema[one], std::move(value), depth + 1);
        for (const auto& [member, dependent] : schema["dependentSchemas"].as_object()) value = hidden(dependent, std::move(value), depth + 1);
        if (value.is_object()) return members(schema, value, depth);
        return value.is_array() ? items(schema, value, depth) : value;
    }

    /// Names that a pattern might mean are taken as if it did.
    Json members(const Json& schema, const Json& value, int depth)
    {
        Json out = Json::object();
        for (const auto& [name, member] : value.as_object()) {
            Json shown = member;
            if (const Json* known = schema["properties"].find(name)) shown = hidden(*known, std::move(shown), depth + 1);
            else
                for (const char* others : {"additionalProperties", "unevaluatedProperties"}) shown = hidden(schema[others], std::move(shown), depth + 1);
            for (const auto& [pattern, of_these] : schema["patternProperties"].as_object()) shown = hidden(of_these, std::move(shown), depth + 1);
            out.set(name, std::move(shown));
        }
        return out;
    }

    Json items(const Json& schema, const Json& value, int depth)
    {
        Json out = Json::array();
        for (const Json& item : value.as_array()) {
            Json shown = item;
            const std::size_t at = out.size();
            for (const char* list : {"prefixItems", "items"})
                if (at < schema[list].as_array().size()) shown = hidden(schema[list].as_array()[at], std::move(shown), depth + 1);
            for (const char* each : {"items", "additionalItems", "contains"}) shown = hidden(schema[each], std::move(shown), depth + 1);
            out.push(std::move(shown));
        }
        return out;
    }

    const Json& root_;
    int left_ = kSteps;
};

}  // namespace mill::factory
