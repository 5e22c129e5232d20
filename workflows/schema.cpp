#include "workflows/schema.h"

#include <fmt/format.h>
#define VALIJSON_USE_EXCEPTIONS 1  // without it the library ends the process
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/constraint_builder.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validation_visitor.hpp>

#include "platform/base/clock.h"
#include "workflows/schema_source.h"

namespace mill::workflows {
namespace {

using valijson::adapters::NlohmannJsonAdapter;

constexpr std::size_t kMostMistakes = 20, kLongestName = 1000;

/// `format`: date, time and date-time are looked at, all others hold. (The library's own way calls itself for each character.)
class Format : public valijson::constraints::PolyConstraint {
public:
    explicit Format(std::string format) : format_(std::move(format)) {}

    bool validate(const valijson::adapters::Adapter& target, const std::vector<std::string>& context, valijson::ValidationResults* results) const override
    {
        if (!target.isString()) return true;
        const std::string text = target.asString();
        std::string whole;
        if (format_ == "date") whole = text + "T00:00:00Z";
        else if (format_ == "time") whole = "2000-01-01T" + text;
        else if (format_ == "date-time") whole = text;
        else return true;
        if (whole.size() < 100 && parse_time(whole)) return true;
        if (results != nullptr) results->pushError(context, fmt::format("it must be a {} (RFC 3339)", format_));
        return false;
    }

private:
    Constraint* cloneInto(void* place) const override { return new (place) Format(*this); }
    std::size_t sizeOf() const override { return sizeof *this; }

    std::string format_;
};

class FormatBuilder : public valijson::ConstraintBuilder {
public:
    valijson::constraints::Constraint* make(const valijson::adapters::Adapter& adapter) const override { return new Format(adapter.asString()); }
};

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

bool has_long_name(const Json& value)
{
    for (const Json& item : value.as_array())
        if (has_long_name(item)) return true;
    for (const auto& [key, member] : value.as_object())
        if (key.size() > kLongestName || has_long_name(member)) return true;
    return false;
}

class Compiled : public Schema {
public:
    explicit Compiled(SchemaSource source) : patterns_(std::move(source.patterns)), names_matched_(source.names_matched)
    {
        const NlohmannJsonAdapter adapter(source.document);
        valijson::SchemaParser parser;
        parser.addConstraintBuilder(kFormat, new FormatBuilder);  // the parser's from here on
        parser.populateSchema(adapter, schema_);
    }

    std::vector<std::string> mistakes(const Json& value) const override
    try {
        if (names_matched_ && has_long_name(value)) return {fmt::format("/: a member's name is longer than {} characters", kLongestName)};
        const nlohmann::json data = to_nlohmann(value);
        const NlohmannJsonAdapter adapter(data);
        valijson::ValidationResults results;
        auto patterns = patterns_;  // the visitor would add to them
        valijson::ValidationVisitor<NlohmannJsonAdapter> visitor(adapter, {"<root>"}, true, &results, patterns);
        std::vector<std::string> out;
        if (visitor.validateSchema(schema_)) return out;
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

private:
    valijson::Schema schema_;
    std::unordered_map<std::string, std::regex> patterns_;
    bool names_matched_;
};

}  // namespace

Result<std::shared_ptr<const Schema>> compile_schema(const Json& document)
try {
    if (document.is_bool()) return compile_schema(document.as_bool() ? Json::object() : Json::object({{"not", Json::object()}}));
    if (!document.is_object()) return fail(Errc::invalid, fmt::format("a schema is an object, not {}", document.kind_name()));
    Result<SchemaSource> source = read_schema(document);
    if (!source) return fail(std::move(source.error()));
    return std::shared_ptr<const Schema>(std::make_shared<Compiled>(std::move(*source)));
} catch (const std::exception& error) {
    return fail(Errc::invalid, fmt::format("not a usable JSON Schema: {}", error.what()));
}

}  // namespace mill::workflows
