#include "workflows/schema.h"

#include <algorithm>
#include <regex>
#include <set>

#include <fmt/format.h>
#define VALIJSON_USE_EXCEPTIONS 1  // without it the library ends the process
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "platform/base/nearest.h"

namespace mill::workflows {
namespace {

constexpr std::size_t kMostMistakes = 20;

nlohmann::json convert(const Json& value)
{
    switch (value.kind()) {
    case Json::Kind::boolean: return value.as_bool();
    case Json::Kind::integer: return value.as_integer();
    case Json::Kind::number: return value.as_number();
    case Json::Kind::string: return value.as_string();
    case Json::Kind::array: {
        auto out = nlohmann::json::array();
        for (const Json& item : value.as_array()) out.push_back(convert(item));
        return out;
    }
    case Json::Kind::object: {
        auto out = nlohmann::json::object();
        for (const auto& [key, member] : value.as_object()) out[key] = convert(member);
        return out;
    }
    default: return nullptr;
    }
}

bool compiles(const std::string& pattern)
try {
    (void)std::regex(pattern);
    return true;
} catch (const std::regex_error&) {
    return false;
}

/// Keywords whose meaning the validator does not have; silently ignoring them would let wrong data pass.
Status refuse_unsupported(const Json& schema, const std::string& pointer, bool is_schema)
{
    if (schema.is_array()) {
        for (std::size_t i = 0; i < schema.size(); ++i)
            if (Status ok = refuse_unsupported(schema[i], fmt::format("{}/{}", pointer, i), is_schema); !ok) return ok;
        return {};
    }
    if (!schema.is_object()) return {};
    static const std::set<std::string_view> kLater = {"$dynamicRef", "$dynamicAnchor", "$anchor", "$recursiveRef", "unevaluatedProperties",
        "unevaluatedItems", "dependentSchemas", "dependentRequired", "prefixItems", "minContains", "maxContains"};
    static const std::vector<std::string> kKnown = {"$schema", "$id", "$ref", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "readOnly", "writeOnly",
        "deprecated", "contentEncoding", "contentMediaType", "type", "enum", "const", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "items", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains", "properties", "patternProperties", "additionalProperties",
        "propertyNames", "required", "minProperties", "maxProperties", "dependencies", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"};
    static const std::set<std::string_view> kMaps = {"properties", "patternProperties", "definitions", "$defs", "dependencies"};
    static const std::set<std::string_view> kData = {"const", "enum", "default", "examples"};
    for (const auto& [key, value] : schema.as_object()) {
        const std::string here = pointer + "/" + key;
        if (is_schema && kLater.contains(key))
            return fail(Errc::invalid, fmt::format("{}: the schema keyword '{}' is not supported (draft 7 is)", here, key));
        if (is_schema && !key.starts_with("x-") && std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end())
            return fail(Errc::invalid, fmt::format("{}: '{}' is no keyword of JSON Schema draft 7{}", here, key, did_you_mean(key, kKnown)));
        if (is_schema && key == "$ref" && value.is_string() && !value.as_string().starts_with("#"))
            return fail(Errc::invalid, fmt::format("{}: only references within the schema (#/…) are followed", here));
        if (is_schema && key == "pattern" && value.is_string() && !compiles(value.as_string()))
            return fail(Errc::invalid, fmt::format("{}: '{}' is no regular expression", here, value.as_string().substr(0, 100)));
        if (is_schema && key == "patternProperties")
            for (const auto& [pattern, of] : value.as_object())
                if (!compiles(pattern)) return fail(Errc::invalid, fmt::format("{}: '{}' is no regular expression", here, pattern.substr(0, 100)));
        if (is_schema && kData.contains(key)) continue;
        if (Status ok = refuse_unsupported(value, here, !is_schema || !kMaps.contains(key)); !ok) return ok;
    }
    return {};
}

/// "<root>[a][0]" as valijson's context comes: a list of such steps.
std::string pointer_of(const std::vector<std::string>& context)
{
    std::string out;
    for (const std::string& step : context) {
        if (step == "<root>") continue;
        std::string_view bare = step;
        if (bare.starts_with("[") && bare.ends_with("]")) bare = bare.substr(1, bare.size() - 2);
        if (bare.starts_with("\"") && bare.ends_with("\"") && bare.size() >= 2) bare = bare.substr(1, bare.size() - 2);
        out += "/" + std::string(bare);
    }
    return out;
}

class Compiled : public Schema {
public:
    valijson::Schema schema;

    std::vector<std::string> mistakes(const Json& value) const override
    try {
        const nlohmann::json data = convert(value);
        const valijson::adapters::NlohmannJsonAdapter adapter(data);
        valijson::Validator validator;
        valijson::ValidationResults results;
        std::vector<std::string> out;
        if (validator.validate(schema, adapter, &results)) return out;
        valijson::ValidationResults::Error error;
        while (results.popError(error) && out.size() < kMostMistakes) {
            const std::string where = pointer_of(error.context);
            out.push_back(fmt::format("{}: {}", where.empty() ? "/" : where, error.description));
        }
        if (out.empty()) out.emplace_back("/: it does not fit the schema");
        return out;
    } catch (const std::exception& error) {
        return {fmt::format("/: the schema cannot be applied: {}", error.what())};
    }
};

}  // namespace

Result<std::shared_ptr<const Schema>> compile_schema(const Json& document)
try {
    if (document.is_bool()) return compile_schema(document.as_bool() ? Json::object() : Json::object({{"not", Json::object()}}));
    if (!document.is_object()) return fail(Errc::invalid, fmt::format("a schema is an object, not {}", document.kind_name()));
    if (const Json* draft = document.find("$schema"); draft != nullptr && draft->is_string()) {
        const std::string& text = draft->as_string();
        if (text.find("draft-04") == std::string::npos && text.find("draft-06") == std::string::npos && text.find("draft-07") == std::string::npos &&
            text.find("2019-09") == std::string::npos && text.find("2020-12") == std::string::npos)
            return fail(Errc::invalid, fmt::format("the schema's dialect '{}' is not known", text.substr(0, 100)));
    }
    if (Status ok = refuse_unsupported(document, "", true); !ok) return fail(ok.error());
    auto compiled = std::make_shared<Compiled>();
    const nlohmann::json data = convert(document);
    const valijson::adapters::NlohmannJsonAdapter adapter(data);
    valijson::SchemaParser parser;
    parser.populateSchema(adapter, compiled->schema);
    return std::shared_ptr<const Schema>(std::move(compiled));
} catch (const std::exception& error) {
    return fail(Errc::invalid, fmt::format("not a usable JSON Schema: {}", error.what()));
}

}  // namespace mill::workflows
