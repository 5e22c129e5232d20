#include <limits>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/schedule/schedule.h"

namespace mill::factory::handler {
namespace {

constexpr std::int64_t kMostShown = 200;

Json skipped_json(const Firing& firing, const Zone& zone)
{
    Json out = Json::object({{"due", format_time(firing.due)}, {"local", format_in_zone(zone, firing.due)}});
    if (firing.at != firing.due) out.set("at", format_time(firing.at));
    if (!firing.skipped.empty()) out.set("skipped", firing.skipped);
    return out;
}

Result<Schedule> schedule_of(Reader& reader, const Json& spec, const std::string& trigger)
{
    return Schedule::make(spec, [&reader](std::string_view name) {
        const auto found = reader.document("Calendar", name);
        return found ? found->spec : Json();
    }, trigger);
}

}  // namespace

/// The next times, with those that days off take away.
void trigger_schedule(Service& service, const CallPtr& call)
{
    const auto count = number_of(*call, "count", 1, kMostShown, 20);
    if (!passed(*call, count)) return;
    const auto reader = service.core.reader();
    const auto trigger = reader->document("Trigger", (*call)["name"]);
    if (!passed(*call, trigger)) return;
    if (trigger->spec["type"].as_string() != "schedule")
        return reply_problem(*call, 409, fmt::format("trigger '{}' is of type {}: it is called, and fires at no time of its own", trigger->name, trigger->spec["type"].as_string()), "no_schedule");
    const auto schedule = schedule_of(*reader, trigger->spec["schedule"], trigger->name);
    if (!passed(*call, schedule)) return;
    Json next = Json::array();
    WallTime time = system_clock().now();
    for (std::int64_t i = 0; i < *count; ++i) {
        const auto firing = schedule->next(time);
        if (!firing) break;
        next.push(skipped_json(*firing, schedule->zone()));
        time = firing->due;
    }
    Json out = Json::object({{"name", trigger->name}, {"schedule", trigger->spec["schedule"]}, {"timezone", schedule->zone().name()}, {"next", std::move(next)}});
    if (trigger->spec["paused"].as_bool()) out.set("paused", trigger->spec["pausedWhy"].is_string() ? trigger->spec["pausedWhy"] : Json("paused"));
    reply(*call, 200, out);
}

/// What came of the times before, newest first.
void trigger_firings(Service& service, const CallPtr& call)
{
    const auto limit = limit_of(*call);
    if (!passed(*call, limit)) return;
    const auto before = number_of(*call, "cursor", 0, std::numeric_limits<std::int64_t>::max(), 0);
    if (!passed(*call, before)) return;
    const auto reader = service.core.reader();
    const auto trigger = reader->document("Trigger", (*call)["name"]);
    if (!passed(*call, trigger)) return;
    const auto firings = reader->firings(trigger->uid, *before, *limit);
    if (!passed(*call, firings)) return;
    const auto zone = Zone::find(trigger->spec["schedule"].contains("timezone") ? trigger->spec["schedule"]["timezone"].as_string() : "UTC");
    Json items = Json::array();
    for (const FiringRecord& firing : *firings) {
        Json item = Json::object({{"due", format_time(firing.due)}, {"outcome", std::string(name(firing.outcome))}, {"decided", format_time(firing.decided)}});
        if (zone) item.set("local", format_in_zone(*zone, firing.due));
        if (firing.at != firing.due) item.set("at", format_time(firing.at));
        if (!firing.job.empty()) item.set("job", firing.job);
        if (!firing.why.empty()) item.set("why", firing.why);
        if (firing.times > 1) item.set("times", Json(firing.times));
        items.push(std::move(item));
    }
    Json out = Json::object({{"items", std::move(items)}});
    if (firings->size() == *limit) out.set("next", std::to_string(firings->back().due.microseconds));
    reply(*call, 200, out);
}

}  // namespace mill::factory::handler
