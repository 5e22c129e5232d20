#include "workflows/schema_source.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "platform/base/nearest.h"
#include "workflows/pointer.h"

namespace mill::workflows {
namespace {

constexpr std::size_t kLongestPattern = 1000, kLargestPattern = 2000, kMostReferences = 500;
constexpr int kLongestChain = 50;

/// How many pieces a pattern has once its counted repetitions are written out, as the matcher does it.
std::size_t written_out(std::string_view pattern)
{
    std::vector<std::size_t> open = {0};  // pieces of each group that is open
    std::size_t last = 0;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const char c = pattern[i];
        if (c == '(') {
            open.push_back(0);
        } else if (c == ')' && open.size() > 1) {
            last = open.back() + 1;
            open.pop_back();
            open.back() += last;
        } else if (c == '{') {
            std::size_t times = 0, number = 0;
            for (++i; i < pattern.size() && pattern[i] != '}'; ++i) {
                number = pattern[i] >= '0' && pattern[i] <= '9' ? std::min<std::size_t>(number * 10 + static_cast<std::size_t>(pattern[i] - '0'), 100'000) : 0;
                times = std::max(times, number);
            }
            if (times > 1) open.back() += std::min<std::size_t>(last * (times - 1), 1'000'000);
            last = std::min<std::size_t>(last * std::max<std::size_t>(times, 1), 1'000'000);
        } else {
            if (c == '[')
                while (++i < pattern.size() && pattern[i] != ']') i += pattern[i] == '\\' ? 1 : 0;
            else if (c == '\\') ++i;
            last = 1;
            ++open.back();
        }
    }
    std::size_t all = 0;
    for (const std::size_t pieces : open) all += pieces;
    return all;
}

Result<std::regex> compile_pattern(const std::string& pattern)
try {
    const auto wrong = [&](std::string_view why) { return fail(Errc::invalid, fmt::format("'{}' {}", pattern.substr(0, 100), why)); };
    if (pattern.size() > kLongestPattern || written_out(pattern) > kLargestPattern) return wrong("is too large a pattern");
    (void)std::regex(pattern);  // by itself: brackets must not close what stands around it
    auto flags = std::regex::ECMAScript;
#ifdef __GLIBCXX__
    flags |= std::regex_constants::__polynomial;  // else it calls itself for each character and tries every way to match
#endif
    return std::regex(fmt::format(R"(^[\s\S]*(?:{}))", pattern), flags);  // searched for from the beginning only
} catch (const std::regex_error& error) {
    return fail(Errc::invalid, fmt::format("'{}' is no regular expression{}", pattern.substr(0, 100),
                                           error.code() == std::regex_constants::error_complexity ? " that is supported (it refers back to a group)" : ""));
}

class Source {
public:
    explicit Source(const Json& root) : root_(root) {}
    SchemaSource out;

    /// `is_schema`: else a map whose members are schemas, or data.
    Result<nlohmann::json> read(const Json& value, const std::string& pointer, bool is_schema)
    {
        if (value.is_array()) {
            auto list = nlohmann::json::array();
            for (std::size_t i = 0; i < value.size(); ++i) {
                Result<nlohmann::json> item = read(value[i], fmt::format("{}/{}", pointer, i), is_schema);
                if (!item) return item;
                list.push_back(std::move(*item));
            }
            return list;
        }
        if (!value.is_object()) return to_nlohmann(value);
        static const std::set<std::string_view> kMaps = {"properties", "patternProperties", "definitions", "$defs", "dependencies"};
        static const std::set<std::string_view> kData = {"const", "enum", "default", "examples"};
        if (Status ok = chain(value, pointer, 0); is_schema && !ok) return fail(std::move(ok.error()));
        auto object = nlohmann::json::object();
        for (const auto& [key, member] : value.as_object()) {
            const std::string here = pointer + "/" + key;
            if (Status ok = keyword(key, member, is_schema); !ok) return fail(here, std::move(ok.error()));
            if (is_schema && kData.contains(key)) {
                object[key] = to_nlohmann(member);
                continue;
            }
            Result<nlohmann::json> inner = read(member, here, !is_schema || !kMaps.contains(key));
            if (!inner) return inner;
            object[is_schema && key == "format" ? kFormat : key] = std::move(*inner);
        }
        return object;
    }

private:
    Status keyword(const std::string& key, const Json& value, bool is_schema)
    {
        if (key == "pattern" && value.is_string() && !out.patterns.contains(value.as_string())) {
            Result<std::regex> made = compile_pattern(value.as_string());
            if (made) out.patterns.emplace(value.as_string(), std::move(*made));
            else if (is_schema) return fail(std::move(made.error()));
        }
        if (!is_schema) return {};
        // Keywords whose meaning the validator does not have: ignoring them would let wrong data pass.
        static const std::set<std::string_view> kLater = {"$dynamicRef", "$dynamicAnchor", "$anchor", "$recursiveRef", "unevaluatedProperties",
            "unevaluatedItems", "dependentSchemas", "dependentRequired", "prefixItems", "minContains", "maxContains"};
        static const std::vector<std::string> kKnown = {"$schema", "$id", "$ref", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "readOnly", "writeOnly",
            "deprecated", "contentEncoding", "contentMediaType", "type", "enum", "const", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum",
            "exclusiveMaximum", "multipleOf", "items", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains", "properties", "patternProperties", "additionalProperties",
            "propertyNames", "required", "minProperties", "maxProperties", "dependencies", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"};
        if (kLater.contains(key)) return fail(Errc::invalid, fmt::format("the schema keyword '{}' is not supported (draft 7 is)", key));
        if (!key.starts_with("x-") && std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end())
            return fail(Errc::invalid, fmt::format("'{}' is no keyword of JSON Schema draft 7{}", key, did_you_mean(key, kKnown)));
        if (key == "$ref" && value.is_string()) {
            const std::string& text = value.as_string();
            if (text != "#" && !text.starts_with("#/")) return fail(Errc::invalid, "only references within the schema (#/…) are followed");
            if (++references_ > kMostReferences) return fail(Errc::invalid, fmt::format("more than {} references", kMostReferences));
        }
        if (key == "patternProperties") {
            out.names_matched = true;
            for (const auto& [pattern, of] : value.as_object())
                if (Result<std::regex> made = compile_pattern(pattern); !made) return fail(std::move(made.error()));
        }
        return {};
    }

    /// Schemas that look at the same value as this one: a circle of them would never end. `depth` counts them.
    Status chain(const Json& schema, const std::string& pointer, int depth)
    {
        if (!schema.is_object()) return {};
        if (depth > kLongestChain) return fail(Errc::invalid, fmt::format("{}: more than {} schemas look at the same value, or they lead in a circle", pointer, kLongestChain));
        const auto known = longest_.find(&schema);
        if (known != longest_.end() && depth + known->second <= kLongestChain) return {};
        int longest = 0;
        const auto next = [&](const Json* inner) -> Status {
            if (inner == nullptr || !inner->is_object()) return {};
            if (Status ok = chain(*inner, pointer, depth + 1); !ok) return ok;
            longest = std::max(longest, longest_[inner] + 1);
            return {};
        };
        if (const Json& reference = schema["$ref"]; reference.is_string())
            if (Status ok = next(referred_by(root_, reference.as_string())); !ok) return ok;
        for (const char* key : {"not", "if", "then", "else"})
            if (Status ok = next(schema.find(key)); !ok) return ok;
        for (const char* key : {"allOf", "anyOf", "oneOf"})
            for (const Json& each : schema[key].as_array())
                if (Status ok = next(&each); !ok) return ok;
        for (const auto& [name, each] : schema["dependencies"].as_object())
            if (Status ok = next(&each); !ok) return ok;
        longest_[&schema] = longest;
        return {};
    }

    const Json& root_;
    std::size_t references_ = 0;
    std::map<const Json*, int> longest_;  ///< schema → schemas in the longest chain behind it
};

}  // namespace

nlohmann::json to_nlohmann(const Json& value)
{
    switch (value.kind()) {
    case Json::Kind::boolean: return value.as_bool();
    case Json::Kind::integer: return value.as_integer();
    case Json::Kind::number: return value.as_number();
    case Json::Kind::string: return value.as_string();
    case Json::Kind::array: {
        auto out = nlohmann::json::array();
        for (const Json& item : value.as_array()) out.push_back(to_nlohmann(item));
        return out;
    }
    case Json::Kind::object: {
        auto out = nlohmann::json::object();
        for (const auto& [key, member] : value.as_object()) out[key] = to_nlohmann(member);
        return out;
    }
    default: return nullptr;
    }
}

Result<SchemaSource> read_schema(const Json& document)
{
    if (const Json* draft = document.find("$schema"); draft != nullptr && draft->is_string()) {
        const std::string& text = draft->as_string();
        static const std::vector<std::string> kKnown = {"draft-04", "draft-06", "draft-07", "2019-09", "2020-12"};
        if (std::none_of(kKnown.begin(), kKnown.end(), [&](const std::string& known) { return text.find(known) != std::string::npos; }))
            return fail(Errc::invalid, fmt::format("the schema's dialect '{}' is not known", text.substr(0, 100)));
    }
    Source source(document);
    Result<nlohmann::json> read = source.read(document, "", true);
    if (!read) return fail(std::move(read.error()));
    source.out.document = std::move(*read);
    return std::move(source.out);
}

}  // namespace mill::workflows
