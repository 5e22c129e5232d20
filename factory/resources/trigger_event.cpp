#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/notify/template.h"
#include "factory/resources/trigger_parts.h"
#include "platform/base/clock.h"

namespace mill::factory {
namespace {

constexpr std::array<std::string_view, 4> kEnds{"success", "failure", "cancel", "expired"};
constexpr std::array<std::string_view, 3> kWebhookMembers{"body", "id", "type"};
constexpr std::array<std::string_view, 1> kFileMembers{"file"};

Json read_job_event(Fields& top)
{
    Fields fields(top.object("job"), "event.job");
    Json out = Json::object();
    if (fields.has("trigger") == fields.has("deployment")) fields.mistake("trigger", "or 'deployment': exactly one of them says whose jobs' ends it hears of");
    else if (fields.has("trigger")) out.set("trigger", Json(fields.text("trigger")));
    else out.set("deployment", Json(fields.text("deployment")));
    const auto given = fields.texts("on");
    Json on = Json::array();
    for (const std::string_view end : kEnds)
        if (std::find(given.begin(), given.end(), end) != given.end() || (given.empty() && end == "success")) on.push(Json(end));
    for (const std::string& one : given)
        if (std::find(kEnds.begin(), kEnds.end(), one) == kEnds.end()) fields.mistake("on", fmt::format("has '{}', expected {}", one, fmt::join(kEnds, ", ")));
    out.set("on", std::move(on));
    if (auto done = fields.done(); !done) top.mistake("job", done.error().what);
    return out;
}

Json read_webhook(Fields& top)
{
    Fields fields(top.object("webhook"), "event.webhook");
    Json out = Json::object();
    out.set("signature", Json(fields.one_of("signature", {"standard-webhooks", "github"})));
    const std::string credentials = fields.text("credentials");
    if (!credentials.empty() && !is_name(credentials))   // it may be the secret itself: it is not repeated
        fields.mistake("credentials", "names a credential of kind hmac; the secret itself does not stand in a document");
    out.set("credentials", Json(credentials));
    if (auto done = fields.done(); !done) top.mistake("webhook", done.error().what);
    return out;
}

/// Stars and question marks in the last part only: one folder is watched, not a tree.
std::string path_mistake(const std::string& path)
{
    if (path.size() < 2 || path.size() > 1000 || path.front() != '/') return fmt::format("must be an absolute path such as /srv/in/*.csv; found '{}'", path.substr(0, 100));
    const std::size_t last = path.rfind('/');
    if (last + 1 == path.size()) return "names a folder: which files in it? Such as /srv/in/*";
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at + 1), path.size());
        const std::string_view part = std::string_view(path).substr(at + 1, end - at - 1);
        if (part.empty() || part == "." || part == "..") return "has an empty part, '.' or '..'";
        at = end;
    }
    if (path.find_first_of("*?") < last) return "has '*' or '?' before its last part: one folder is watched";
    return {};
}

Json read_file(Fields& top)
{
    Fields fields(top.object("file"), "event.file");
    Json out = Json::object();
    if (fields.has("agent") == fields.has("group")) fields.mistake("agent", "or 'group' (of the environment): exactly one of them says whose files");
    else if (fields.has("agent")) {
        const std::string pattern = fields.text("agent");
        if (pattern.empty() || pattern.size() > 200 || (pattern.starts_with("label:") && pattern.find('=') == std::string::npos))
            fields.mistake("agent", "must be a name, a pattern such as srv-*, or label:NAME=VALUE");
        out.set("agent", Json(pattern));
    } else {
        out.set("group", Json(fields.text("group")));
    }
    const std::string path = fields.text("path");
    if (const std::string wrong = path_mistake(path); !path.empty() && !wrong.empty()) fields.mistake("path", wrong);
    out.set("path", Json(path));
    const std::string settled = fields.text("settled", "5s");
    const auto time = parse_duration(settled);
    if (!time || *time < Milliseconds(100) || *time > std::chrono::hours(1)) fields.mistake("settled", fmt::format("must be a duration from 100ms to 1h, such as 5s; found '{}'", settled));
    else out.set("settled", Json(format_duration(*time))).set("settledMs", Json(time->count()));
    fields.any("settledMs", Json());   // as it is shown
    if (fields.boolean("anywhere", false)) out.set("anywhere", true);
    if (auto done = fields.done(); !done) top.mistake("file", done.error().what);
    return out;
}

bool starts(const Json& source, const Json& follower)
{
    if (follower["type"].as_string() != "event") return false;
    const Json& job = follower["event"]["job"];
    return job["trigger"].is_string() ? job["trigger"].as_string() == source["name"].as_string()
                                      : job["deployment"].is_string() && job["deployment"].as_string() == source["deployment"].as_string();
}

/// The triggers from `from` back to it, each started by the one before; empty: there is no such way.
std::vector<std::string> circle(const Json& from, const std::vector<Json>& triggers)
{
    std::set<std::string> seen;
    std::vector<std::pair<Json, std::vector<std::string>>> todo{{from, {from["name"].as_string()}}};
    while (!todo.empty()) {
        auto [at, way] = std::move(todo.back());
        todo.pop_back();
        for (const Json& next : triggers) {
            if (!starts(at, next)) continue;
            std::vector<std::string> longer = way;
            longer.push_back(next["name"].as_string());
            if (longer.back() == longer.front()) return longer;
            if (seen.insert(longer.back()).second) todo.emplace_back(next, std::move(longer));
        }
    }
    return {};
}

}  // namespace

Json read_event(Fields& top)
{
    Fields fields(top.object("event"), "event");
    Json out = Json::object();
    const bool job = fields.has("job"), file = fields.has("file");
    if (int(job) + int(file) + int(fields.has("webhook")) != 1) {
        fields.mistake("job", "or 'webhook' or 'file': exactly one of them says what it waits for");
        for (const char* each : {"job", "file", "webhook", "input"}) fields.any(each, Json());
        top.mistake("event", fields.done().error().what);
        return out;
    }
    if (file) out.set("file", read_file(fields));
    if (job) out.set("job", read_job_event(fields));
    if (fields.has("webhook")) out.set("webhook", read_webhook(fields));
    const Json input = fields.any("input", job ? Json::object() : Json(file ? "${ .file }" : "${ .body }"));
    if (!input.is_object() && !(input.is_string() && !job)) fields.mistake("input", fmt::format("must be an object, found {}", input.kind_name()));
    const Status checked = check_templates(input, "event.input", {job ? notification_language().members : file ? TemplateMembers(kFileMembers) : TemplateMembers(kWebhookMembers), false});   // plain: it is made within the transaction
    if (!checked) fields.mistake("input", checked.error().what);
    out.set("input", input);
    if (auto done = fields.done(); !done) top.mistake("event", done.error().what);
    return out;
}

Result<Json> webhook_input(const Json& written, const Json& document)
{
    auto out = render_json(written, document, {kWebhookMembers, false});
    if (out && !out->is_object()) return fail(Errc::invalid, fmt::format("event.input comes to {}, an input must be an object", out->kind_name()));
    return out;
}

Result<Json> file_input(const Json& written, const Json& document)
{
    auto out = render_json(written, document, {kFileMembers, false});
    if (out && !out->is_object()) return fail(Errc::invalid, fmt::format("event.input comes to {}, an input must be an object", out->kind_name()));
    return out;
}

tl::expected<void, Refusal> check_event(const ResourceDocument& trigger, const References& references)
{
    const Json& event = trigger.spec["event"];
    if (!event.is_object()) return {};
    const std::string where = fmt::format("Trigger '{}', event", trigger.name);
    const auto refuse = [](std::string what) { return tl::unexpected(Refusal{Error{Errc::conflict, std::move(what)}, {}}); };
    if (const std::string& name = event["webhook"]["credentials"].as_string(); !name.empty()) {
        const auto kind = references.credential_kind(name);
        if (!kind) return refuse(fmt::format("{}: credential '{}' is not there (millwright credentials set {} --kind hmac)", where, name, name));
        if (*kind != "hmac") return refuse(fmt::format("{}: credential '{}' must be of kind hmac, it is of kind {}", where, name, *kind));
    }
    const Json& job = event["job"];
    for (const auto kind : {ResourceKind::trigger, ResourceKind::deployment}) {
        const std::string& name = job[kind == ResourceKind::trigger ? "trigger" : "deployment"].as_string();
        if (!name.empty() && !references.has(kind, name)) return refuse(fmt::format("{}: {} '{}' is not there", where, kind == ResourceKind::trigger ? "trigger" : "deployment", name));
    }
    if (!job.is_object() || !references.triggers) return {};
    auto all = references.triggers();
    std::erase_if(all, [&](const Json& each) { return each["name"].as_string() == trigger.name; });
    all.push_back(trigger.spec);
    if (const auto way = circle(trigger.spec, all); !way.empty()) return refuse(fmt::format("{}: its jobs would start each other for ever: {}", where, fmt::join(way, " → ")));
    return {};
}

}  // namespace mill::factory
