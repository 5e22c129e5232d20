// What a notifier hears of, and of which events there.
#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/resources/notifier_parts.h"
#include "platform/base/clock.h"

namespace mill::factory {
namespace {

constexpr std::array<std::string_view, 3> kJobSources{"trigger", "deployment", "environment"};
constexpr std::array<std::string_view, 3> kOtherSources{"agents", "deliveries", "credentials"};

/// An event that has lasted for a while, or comes.
struct Span {
    std::string_view event, member, usual;
};
constexpr std::array<Span, 3> kSpans{{{"waiting", "for", "5m"}, {"offline", "for", "5m"}, {"expiring", "before", "14d"}}};

std::vector<std::string_view> all_of(std::string_view source)
{
    if (source == "agents") return {"offline", "online", "frozen"};
    if (source == "deliveries") return {"dead", "held"};
    if (source == "credentials") return {"expiring", "expired"};
    return {"start", "success", "failure", "cancel", "expired"};
}

/// "success", or {waiting: {for: 5m}}; null when it is wrong.
Json one_event(Fields& fields, const std::string& event, const Json& how)
{
    const auto span = std::find_if(kSpans.begin(), kSpans.end(), [&](const Span& each) { return each.event == event; });
    if (span == kSpans.end()) {
        if (!how.is_null()) fields.mistake("on", fmt::format("has '{}' with more than its name", event));
        return Json(event);
    }
    std::string time(span->usual);
    for (const auto& [member, value] : how.as_object()) {
        if (member != span->member) fields.mistake("on", fmt::format("has '{}' in {}, expected {}", member, event, span->member));
        else if (!value.is_string() || !parse_duration(value.as_string())) fields.mistake("on", fmt::format("has {}: {} {}, expected a duration such as 90s, 5m or 14d", event, member, dump_json(value)));
        else time = value.as_string();
    }
    if (!how.is_null() && !how.is_object()) fields.mistake("on", fmt::format("has {} of type {}, expected {{ {}: {} }}", event, how.kind_name(), span->member, span->usual));
    return Json::object({{event, Json::object({{std::string(span->member), Json(time)}})}});
}

}  // namespace

std::vector<std::string_view> notifier_events(std::string_view source)
{
    auto out = all_of(source);
    if (source != "agents" && source != "deliveries" && source != "credentials") {
        out.emplace_back("waiting");
        out.emplace_back("question");
    }
    return out;
}

std::string notifier_source(const Json& notifier)
{
    for (const auto* group : {&kJobSources, &kOtherSources})
        for (const std::string_view source : *group)
            if (!notifier[source].is_null()) return std::string(source);
    return {};
}

void read_source(Fields& fields, Json& out)
{
    std::vector<std::string_view> named;
    for (const std::string_view source : kJobSources)
        if (fields.has(source)) {
            named.push_back(source);
            out.set(source, Json(fields.text(source)));
        }
    for (const std::string_view source : kOtherSources) {
        if (!fields.has(source)) continue;
        named.push_back(source);
        Json patterns = Json::array();
        for (const std::string& pattern : fields.texts(source)) patterns.push(Json(pattern == "all" ? "*" : pattern));
        if (patterns.empty()) fields.mistake(source, "must be all, a name or a list of names, in which * stands for any characters");
        out.set(source, std::move(patterns));
    }
    if (named.empty()) fields.mistake("trigger", "is missing: say what it hears of: trigger, deployment, environment, agents, deliveries or credentials");
    if (named.size() > 1) fields.mistake(named[1], fmt::format("stands beside {}: a notifier hears of one of them", named[0]));

    const std::string_view source = named.empty() ? "trigger" : named.front();
    const auto allowed = notifier_events(source);
    std::vector<std::pair<std::string, Json>> given;
    const Json on = fields.any("on", Json());
    const auto take = [&](const Json& one) {
        if (one.is_string()) given.emplace_back(one.as_string(), Json());
        else if (one.is_object()) given.insert(given.end(), one.as_object().begin(), one.as_object().end());
        else fields.mistake("on", fmt::format("has a value of type {}, expected the name of an event", one.kind_name()));
    };
    if (on.is_array()) for (const Json& one : on.as_array()) take(one);
    else if (!on.is_null()) take(on);
    if (given.empty()) fields.mistake("on", fmt::format("must name at least one of {}, all", fmt::join(allowed, ", ")));
    Json events = Json::array();
    std::vector<std::string> seen;
    const auto add = [&](const std::string& event, const Json& how) {
        if (std::find(seen.begin(), seen.end(), event) != seen.end()) return;
        seen.push_back(event);
        events.push(one_event(fields, event, how));
    };
    for (const auto& [event, how] : given)   // what is said with its time counts before what `all` would say
        if (event != "all" && std::find(allowed.begin(), allowed.end(), event) == allowed.end())
            fields.mistake("on", fmt::format("has '{}', expected {} or all (of {})", event, fmt::join(allowed, ", "), source));
        else if (event != "all") add(event, how);
    for (const auto& [event, how] : given)
        if (event == "all")
            for (const std::string_view each : all_of(source)) add(std::string(each), Json());
    if (source == "agents" && std::find(seen.begin(), seen.end(), "online") != seen.end() && std::find(seen.begin(), seen.end(), "offline") == seen.end())
        fields.mistake("on", "has 'online' without 'offline': that an agent is back is told to whoever was told that it was away");
    out.set("on", std::move(events));
}

}  // namespace mill::factory
