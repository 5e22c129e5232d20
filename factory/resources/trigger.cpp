#include <array>

#include <fmt/format.h>

#include "factory/chat/mapping.h"
#include "factory/chat/platform.h"
#include "factory/http/address.h"
#include "factory/resources/callbacks.h"
#include "factory/resources/kinds.h"
#include "factory/resources/named_credentials.h"
#include "factory/resources/resource.h"
#include "factory/resources/trigger_parts.h"
#include "factory/schedule/schedule.h"
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

constexpr Milliseconds kLongest = std::chrono::hours(24 * 366);

void duration(Fields& fields, std::string_view key, std::string_view usual, Milliseconds least, Json& out)
{
    const std::string text = fields.text(key, usual);
    const auto parsed = parse_duration(text);
    if (parsed && *parsed >= least && *parsed <= kLongest) out.set(std::string(key), Json(format_duration(*parsed)));
    else fields.mistake(key, fmt::format("must be a duration from {} to 366d, such as 15m; found '{}'", format_duration(least), text));
}

/// When it fires, and what happens then. What cannot be is an error here, and not at three in the morning.
Json schedule(Fields& top)
{
    Fields fields(top.object("schedule"), "schedule");
    Json out = Json::object();
    if (fields.has("cron") == fields.has("every")) fields.mistake("cron", "or 'every': exactly one of them says when it fires");
    if (fields.has("cron")) {
        out.set("cron", Json(fields.text("cron")));
        // A schedule means a place's mornings: nobody should find out later whose.
        out.set("timezone", Json(fields.text("timezone")));
    } else if (fields.has("every")) {
        duration(fields, "every", "", Milliseconds(1000), out);
        out.set("timezone", Json(fields.text("timezone", "UTC")));
    }
    Json calendars = Json::array();
    for (const std::string& name : fields.texts("calendars")) calendars.push(Json(name));
    out.set("calendars", std::move(calendars));
    duration(fields, "catchUp", "1h", Milliseconds(0), out);
    out.set("overlap", Json(fields.one_of("overlap", {"skip", "buffer-one", "buffer-all", "cancel-other", "terminate-other", "allow-all"}, "skip")));
    duration(fields, "jitter", "0s", Milliseconds(0), out);
    for (const std::string_view key : {"start", "end"})
        if (const std::string text = fields.text(key, ""); !text.empty()) {
            if (const auto time = parse_time(text)) out.set(std::string(key), Json(format_time(*time)));
            else fields.mistake(key, fmt::format("must be a time such as 2027-01-01T00:00:00Z; found '{}'", text));
        }
    if (auto done = fields.done(); !done) {
        top.mistake("schedule", done.error().what);
        return out;
    }
    Json bare = out;
    bare.set("calendars", Json::array());   // whether they are there is a question to the store
    const auto made = Schedule::make(bare, [](std::string_view) { return Json(); }, {});
    if (!made) top.mistake("schedule", made.error().what);
    else if (!made->next(WallTime{}) || (out.contains("end") && !made->next(parse_time(out["start"].as_string()).value_or(WallTime{}))))
        top.mistake("schedule", "never fires");
    return out;
}

/// Where callers with the trigger's token may call from.
Json networks(Fields& fields)
{
    Json out = Json::array();
    const auto texts = fields.texts("allow");
    for (const std::string& text : texts) {
        if (const auto network = parse_network(text); !network) fields.mistake("allow", network.error().what);
        out.push(Json(text));
    }
    if (texts.empty()) fields.mistake("allow", "names no network: nobody could call; leave it out for any address");
    if (texts.size() > 100) fields.mistake("allow", "has more than 100 networks");
    return out;
}

/// Who calls from a chat, what of it is the job's input, what the person is told at once.
Json chat(Fields& top)
{
    Fields fields(top.object("chat"), "chat");
    Json out = Json::object();
    const std::string platform = fields.one_of("platform", {"sap-cai", "slack", "teams", "rasa", "botpress", "webhook"});
    out.set("platform", Json(platform));
    const Json input = fields.any("input", Json::object({{"text", "${ .text }"}}));
    if (const auto made = chat_input_template(input); !made) fields.mistake("input", made.error().what);
    out.set("input", input);
    if (fields.has("reply")) {
        const std::string reply = fields.text("reply", "");
        if (reply.size() > 3000) fields.mistake("reply", "is longer than 3000 bytes");
        if (auto checked = check_chat_reply(reply); !checked) fields.mistake("reply", checked.error().what);
        if (reply.empty() && platform == "teams") fields.mistake("reply", "is empty: Teams shows an error unless it gets one");
        out.set("reply", Json(reply));
    }
    const auto known = parse_chat_platform(platform);
    const std::string credentials = fields.text("credentials", "");
    if (known && signs(*known)) {
        if (credentials.empty())
            fields.mistake("credentials", fmt::format("is missing: {} signs its calls. Store its {} with `millwright credentials set NAME --kind hmac --json-file -` "
                                                      "({{\"secret\": \"...\"}}) and write `credentials: NAME`", platform == "slack" ? "Slack" : "Teams",
                                                      platform == "slack" ? "signing secret" : "security token"));
        else if (!is_name(credentials))   // it may be the secret itself: it is not repeated
            fields.mistake("credentials", "names a credential; the secret itself does not stand in a document");
    } else if (known && !credentials.empty()) {
        fields.mistake("credentials", fmt::format("is for platforms that sign, slack and teams: {} sends a token of the trigger (millwright triggers token NAME)", platform));
    }
    if (!credentials.empty()) out.set("credentials", Json(credentials));
    if (auto done = fields.done(); !done) top.mistake("chat", done.error().what);
    return out;
}

}  // namespace

tl::expected<void, Refusal> check_chat_credential(const ResourceDocument& trigger, const References& references)
{
    const auto refuse = [](std::string what) { return tl::unexpected(Refusal{Error{Errc::conflict, std::move(what)}, {}}); };
    for (const auto& [place, name] : credentials_named_in(trigger.spec)) {
        const std::string where = fmt::format("Trigger '{}', {}", trigger.name, place);
        const auto kind = references.credential_kind(name);
        if (!kind) return refuse(fmt::format("{}: credential '{}' is not there (millwright credentials set {} --kind hmac)", where, name, name));
        if (*kind != "hmac") return refuse(fmt::format("{}: credential '{}' must be of kind hmac, it is of kind {}", where, name, *kind));
    }
    return {};
}

Result<Json> normalise_trigger(const Json& body, const std::string& where)
{
    Fields fields(body, where);
    Json out = Json::object();
    if (const std::string text = fields.text("description", ""); !text.empty()) out.set("description", Json(text));
    if (fields.has("title")) {
        const std::string title = fields.text("title");
        if (title.empty() || title.size() > 100) fields.mistake("title", "must have 1 to 100 bytes: the name that people read");
        out.set("title", Json(title));
    }
    out.set("deployment", Json(fields.text("deployment")));
    const std::string type = fields.one_of("type", {"api", "schedule", "attended", "event"}, "api");
    out.set("type", Json(type));
    if (type == "attended") {
        out.set("assignedTo", read_assigned(fields));
    } else if (fields.has("assignedTo")) {
        fields.any("assignedTo", Json());
        fields.mistake("assignedTo", "is for a trigger of 'type: attended'");
    }
    if (type == "event") {
        out.set("event", read_event(fields));
    } else if (fields.has("event")) {
        fields.any("event", Json());
        fields.mistake("event", "is for a trigger of 'type: event'");
    }
    if (type == "schedule") {
        out.set("schedule", schedule(fields));
    } else if (fields.has("schedule")) {
        fields.any("schedule", Json());
        fields.mistake("schedule", "is for a trigger of 'type: schedule'");
    }
    if (fields.has("chat")) {
        const Json made = chat(fields);
        if (type != "api") fields.mistake("chat", "is for a trigger of 'type: api'");
        else out.set("chat", made);
    }
    if (fields.has("approval")) out.set("approval", read_approval(fields, out.contains("chat")));
    out.set("runOn", Json(fields.one_of("runOn", {"unattended", "attended", "any"}, type == "attended" ? "attended" : "unattended")));
    read_callbacks(fields, out);
    if (type == "schedule" && out.contains("callbacks")) fields.mistake("callbacks", "is for a trigger of 'type: api'");
    out.set("workflow", Json(fields.text("workflow", "main")));
    out.set("input", fields.object("input", Json::object()));
    out.set("priority", Json(priority(fields)));
    const std::string expiration = fields.text("expiration", "60m");
    if (auto parsed = parse_duration(expiration); !parsed || parsed->count() < 1000)
        fields.mistake("expiration", fmt::format("must be a duration of at least 1s, such as 60m; found '{}'", expiration));
    else
        out.set("expiration", Json(format_duration(*parsed)));
    if (fields.has("allow")) out.set("allow", networks(fields));
    out.set("concurrency", Json(fields.integer("concurrency", 0, 1'000'000, 0)));             // 0: no bound
    read_locks(fields, out);
    out.set("stopAfterFailures", Json(fields.integer("stopAfterFailures", 0, 1'000'000, 0)));  // 0: never
    if (fields.has("paused")) out.set("paused", Json(fields.boolean("paused", false)));   // absent: stays as it is
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return out;
}

}  // namespace mill::factory
