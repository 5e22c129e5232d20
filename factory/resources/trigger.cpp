#include <array>

#include <fmt/format.h>

#include "factory/resources/kinds.h"
#include "platform/base/clock.h"
#include "platform/base/fields.h"

namespace mill::factory {
namespace {

struct Level {
    std::string_view word;
    int value;
};
constexpr std::array<Level, 5> kLevels{{{"very-low", 10}, {"low", 30}, {"medium", 50}, {"high", 70}, {"very-high", 90}}};

int priority(Fields& fields)
{
    const Json value = fields.any("priority", Json(50));
    for (const Level& level : kLevels)
        if (value.is_string() && value.as_string() == level.word) return level.value;
    if (!value.is_integer() || value.as_integer() < 0 || value.as_integer() > 100) {
        fields.mistake("priority", "must be a whole number from 0 to 100, or very-low, low, medium, high, very-high");
        return 50;
    }
    return static_cast<int>(value.as_integer());
}

}  // namespace

Result<Json> normalise_trigger(const Json& body, const std::string& where)
{
    Fields fields(body, where);
    Json out = Json::object();
    if (const std::string text = fields.text("description", ""); !text.empty()) out.set("description", Json(text));
    out.set("deployment", Json(fields.text("deployment")));
    const std::string type = fields.one_of("type", {"api", "schedule", "attended", "event"}, "api");
    if (type != "api" && !type.empty()) fields.mistake("type", fmt::format("'{}' is not supported yet: only api is", type));
    for (const std::string_view later : {"schedule", "chat", "event"})
        if (fields.has(later)) {
            fields.any(later, Json());
            fields.mistake(later, "is not supported yet");
        }
    out.set("type", Json("api"));
    out.set("runOn", Json(fields.one_of("runOn", {"unattended", "attended", "any"}, "unattended")));
    out.set("workflow", Json(fields.text("workflow", "main")));
    out.set("input", fields.object("input", Json::object()));
    out.set("priority", Json(priority(fields)));
    const std::string expiration = fields.text("expiration", "60m");
    if (auto parsed = parse_duration(expiration); !parsed || parsed->count() < 1000)
        fields.mistake("expiration", fmt::format("must be a duration of at least 1s, such as 60m; found '{}'", expiration));
    else
        out.set("expiration", Json(format_duration(*parsed)));
    out.set("concurrency", Json(fields.integer("concurrency", 0, 1'000'000, 0)));             // 0: no bound
    out.set("stopAfterFailures", Json(fields.integer("stopAfterFailures", 0, 1'000'000, 0)));  // 0: never
    if (fields.has("paused")) out.set("paused", Json(fields.boolean("paused", false)));   // absent: stays as it is
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return out;
}

}  // namespace mill::factory
