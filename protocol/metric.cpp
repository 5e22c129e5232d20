#include "protocol/metric.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "platform/base/fields.h"

namespace mill::protocol {
namespace {

constexpr std::size_t kLongestName = 128, kLongestKey = 64, kLongestText = 128, kLongestUnit = 20, kDimensions = 16;
constexpr std::chrono::hours kOldest{24 * 30};
constexpr std::chrono::minutes kAhead{5};
constexpr std::string_view kNameRule = "must begin with a letter and have letters, digits and _ . - / after it, 128 at most";

bool is_metric_word(std::string_view text, std::size_t most, std::string_view more)
{
    if (text.empty() || text.size() > most || !std::isalpha(static_cast<unsigned char>(text.front()))) return false;
    return std::all_of(text.begin(), text.end(), [&](char c) { return std::isalnum(static_cast<unsigned char>(c)) || more.find(c) != more.npos; });
}

}  // namespace

std::string metric_name_mistake(std::string_view name)
{
    if (!is_metric_word(name, kLongestName, "_.-/")) return std::string(kNameRule);
    return name.starts_with("millwright") ? "must not begin with millwright: those are the factory's own" : "";
}

std::string metric_rule_mistake(std::string_view rule)
{
    if (rule == "*") return {};
    if (rule.ends_with('*')) rule.remove_suffix(1);
    return is_metric_word(rule, kLongestName, "_.-/") ? "" : "is neither a metric's name nor the beginning of one with a * behind it";
}

bool admits_metric(const std::vector<std::string>& rules, std::string_view name)
{
    return std::any_of(rules.begin(), rules.end(), [&](std::string_view rule) { return rule == name || (rule.ends_with('*') && name.starts_with(rule.substr(0, rule.size() - 1))); });
}

Result<MetricPoint> parse_metric(const Json& json, std::string_view where, WallTime now)
{
    Fields fields(json, std::string(where));
    MetricPoint out;
    out.name = fields.text("name");
    if (const std::string wrong = metric_name_mistake(out.name); !wrong.empty()) fields.mistake("name", wrong);
    const Json value = fields.any("value");
    if (!value.is_number() || !std::isfinite(value.as_number())) fields.mistake("value", "must be a number");
    out.value = value.is_number() ? value.as_number() : 0;
    out.unit = fields.text("unit", "");
    if (out.unit.size() > kLongestUnit) fields.mistake("unit", fmt::format("is longer than {} bytes", kLongestUnit));
    std::map<std::string, std::string> sorted;
    const Json dimensions = fields.object("dimensions", Json::object());
    for (const auto& [key, text] : dimensions.as_object()) {
        if (!is_metric_word(key, kLongestKey, "_.-")) fields.mistake("dimensions", fmt::format("'{}' is no name of a dimension: a letter, then letters, digits and _ . -, {} at most", key.substr(0, 80), kLongestKey));
        else if (!text.is_string() || text.as_string().size() > kLongestText) fields.mistake("dimensions", fmt::format("'{}' must be a text of at most {} bytes", key, kLongestText));
        else sorted.emplace(key, text.as_string());
    }
    if (sorted.size() > kDimensions) fields.mistake("dimensions", fmt::format("are more than {}", kDimensions));
    out.dimensions = Json::object();
    for (const auto& [key, text] : sorted) out.dimensions.set(key, text);
    out.time = now;
    if (const std::string text = fields.text("time", ""); !text.empty()) {
        const auto time = parse_time(text);
        if (!time) fields.mistake("time", time.error().what);
        else if (*time < now - kOldest || *time > now + kAhead) fields.mistake("time", "must lie within the last 30 days, and not more than 5 minutes ahead of the factory's clock");
        else out.time = *time;
    }
    if (auto done = fields.done(); !done) return fail(done.error());
    return out;
}

Json to_json(const MetricPoint& point)
{
    Json out = Json::object({{"name", point.name}, {"value", point.value}});
    if (!point.unit.empty()) out.set("unit", point.unit);
    if (!point.dimensions.empty()) out.set("dimensions", point.dimensions);
    return out.set("time", format_time(point.time));
}

}  // namespace mill::protocol
