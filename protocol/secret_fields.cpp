#include "protocol/secret_fields.h"

#include <algorithm>
#include <string_view>

namespace mill::protocol {
namespace {

constexpr std::size_t kMostPlaces = 100;
constexpr int kSteps = 20'000, kDepth = 100;
constexpr std::string_view kHidden = "…";

/// As a JSON pointer has it.
std::string escaped(const std::string& name)
{
    std::string out;
    for (const char c : name) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return out;
}

void compare(const Json& value, const Json& shown, const std::string& at, std::vector<std::string>& out)
{
    if (out.size() > kMostPlaces || value == shown) return;
    if (value.is_object() && shown.is_object())
        for (const auto& [name, member] : value.as_object()) compare(member, shown[name], at + "/" + escaped(name), out);
    else if (value.is_array() && shown.is_array() && value.size() == shown.size())
        for (std::size_t i = 0; i < value.size(); ++i) compare(value[i], shown[i], at + "/" + std::to_string(i), out);
    else out.push_back(at);
}

void find_texts(const Json& value, const std::string& at, const std::vector<std::string>& places, bool inside, std::vector<std::string>& out)
{
    inside = inside || std::find(places.begin(), places.end(), at) != places.end();
    if (inside && value.is_string()) out.push_back(value.as_string());
    if (inside && value.is_number()) out.push_back(dump_json(value));
    for (const auto& [name, member] : value.as_object()) find_texts(member, at + "/" + escaped(name), places, inside, out);
    for (std::size_t i = 0; i < value.as_array().size(); ++i) find_texts(value[i], at + "/" + std::to_string(i), places, inside, out);
}

bool has_secrets_below(const Json& schema, int depth)
{
    if (depth > kDepth || marks_secret(schema)) return true;
    const auto below = [&](const Json& each) { return has_secrets_below(each, depth + 1); };
    const auto& members = schema.as_object();
    return std::any_of(members.begin(), members.end(), [&](const auto& member) { return below(member.second); }) || std::any_of(schema.as_array().begin(), schema.as_array().end(), below);
}

/// One walk along a schema and a value.
class Walk {
public:
    explicit Walk(const Json& root) : root_(root) {}

    Json hidden(const Json& schema, Json value, int depth)
    {
        if (!schema.is_object() || value.is_null()) return value;
        if (depth > kDepth || --left_ < 0) return Json(std::string(kHidden));
        if (marks_secret(schema)) return Json(std::string(kHidden));
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

private:
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

}  // namespace

bool marks_secret(const Json& schema) { return schema["format"].as_string() == "password" || schema["writeOnly"].as_bool(); }
bool has_secrets(const Json& schema) { return has_secrets_below(schema, 0); }

Json without_secrets(const Json& schema, const Json& value) { return Walk(schema).hidden(schema, value, 0); }

std::vector<std::string> secret_places(const Json& schema, const Json& value)
{
    std::vector<std::string> out;
    compare(value, without_secrets(schema, value), {}, out);
    return out.size() > kMostPlaces ? std::vector<std::string>{""} : out;
}

std::vector<std::string> texts_at(const Json& value, const std::vector<std::string>& places)
{
    std::vector<std::string> out;
    find_texts(value, {}, places, false, out);
    return out;
}

}  // namespace mill::protocol
