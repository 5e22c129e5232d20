#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

std::vector<std::string> row(const Json& trigger, WallTime)
{
    const Json& status = trigger["status"];
    return {trigger["name"].as_string(), trigger["type"].as_string(), trigger["deployment"].as_string(), trigger["runOn"].as_string(),
            status["paused"].as_bool() ? "yes: " + status["pausedWhy"].as_string() : ""};
}

Result<int> list(Context& context, const Arguments&)
{
    return show_listing(context, {.path = "/v1/triggers", .headings = {"TRIGGER", "TYPE", "DEPLOYMENT", "RUNS ON", "PAUSED"}, .row = row, .none = "no triggers; `millwright deploy FOLDER` makes one"});
}

Result<int> show(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> calls = (*api)->get(join_path("/v1/triggers", arguments.text("NAME"), "/calls"));
    if (!calls) return fail(calls.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*calls);
        return kDone;
    }
    const auto field = [&](std::string_view name, const Json& value) { console.line(fmt::format("{:<14}{}", name, one_line(value.as_string()))); };
    field("trigger", (*calls)["name"]);
    field("uid", (*calls)["uid"]);
    field("url", (*calls)["urls"]["v1"]);
    field("SAP (token)", (*calls)["urls"]["apitrigger"]);
    field("SAP (api key)", (*calls)["urls"]["runtime"]);
    const bool hooked = (*calls)["hook"].is_object();
    const Json& chat = (*calls)[hooked ? "hook" : "chat"];   // who calls in a form of its own
    if ((*calls)["starts"].is_string()) field("starts", (*calls)["starts"]);
    if (chat.is_object()) {
        field(hooked ? std::string("webhook") : fmt::format("chat ({})", one_line(chat["platform"].as_string())), chat["url"]);
        if (chat["credential"].is_string()) field("signed by", chat["credential"]);
        if (chat["problem"].is_string()) field("takes none", chat["problem"]);
        if (chat["refused"].is_object())
            field("refused", Json(fmt::format("{} since the factory started; the last at {}: {}", chat["refused"]["count"].as_integer(), chat["refused"]["time"].as_string(), chat["refused"]["why"].as_string())));
    }
    if (const Json& watched = (*calls)["watches"]; watched.is_object()) {
        field("files", watched["path"]);
        if (watched["agents"].empty()) console.line("              no agent watches for them: none that is approved fits");
        for (const Json& one : watched["agents"].as_array())
            console.line(one_line(fmt::format("              {}: {}", one["agent"].as_string(),
                                              one.contains("problem") ? one["problem"].as_string() : one["watches"].as_bool() ? "watches" : one["online"].as_bool() ? "has not said yet how it stands" : "is offline: it looks when it is there again")));
    }
    field("a job now", (*calls)["ready"]["text"]);
    for (const std::string& line : reason_lines((*calls)["ready"]["reasons"], (*calls)["ready"]["text"])) console.line(line);
    for (const Json& example : (*calls)["examples"].as_array()) {
        console.line();
        console.line(printable(example.as_string()));
    }
    if (chat.is_object()) {
        console.line();
        for (std::string_view rest = chat["example"].as_string(); !rest.empty();) {   // a few lines of shell
            const auto end = rest.find('\n');
            console.line(printable(rest.substr(0, end)));
            rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        }
    }
    console.note(fmt::format("\n`millwright triggers token {}` makes a token for callers.", arguments.text("NAME")));
    return kDone;
}

Result<int> token(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> made = (*api)->post(join_path("/v1/triggers", arguments.text("NAME"), "/token"), Json(),
                                           {{"rotate", arguments.has("--rotate") ? "true" : ""}});
    if (!made) return fail(made.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*made);
        return kDone;
    }
    console.line((*made)["token"].as_string());
    console.note("It is shown this once. It starts this trigger and reads state and output of the jobs that it started, nothing else.");
    return kDone;
}

Result<int> set_paused(Context& context, const Arguments& arguments, bool paused)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object();
    if (arguments.has("--why")) body.set("why", arguments.text("--why"));
    const Result<Json> trigger = (*api)->post(join_path("/v1/triggers", arguments.text("NAME"), paused ? "/pause" : "/resume"), body);
    if (!trigger) return fail(trigger.error());
    if (context.console.json()) context.console.document(*trigger);
    else context.console.line(fmt::format("{} {}", arguments.text("NAME"), paused ? "is paused: calls are answered 409 until it is resumed" : "takes calls"));
    return kDone;
}

Result<int> pause(Context& context, const Arguments& arguments) { return set_paused(context, arguments, true); }
Result<int> resume(Context& context, const Arguments& arguments) { return set_paused(context, arguments, false); }

}  // namespace

namespace {

/// "2026-11-30T06:30:00+01:00" as people write it, with the day of the week left to them.
std::string local_words(const Json& item)
{
    std::string text = item["local"].as_string();
    if (const auto at = text.find('T'); at != std::string::npos) text[at] = ' ';
    return one_line(text);
}

Result<int> schedule(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const std::string count = arguments.text("--count", "20");
    const Result<Json> planned = (*api)->get(join_path("/v1/triggers", arguments.text("NAME"), "/schedule"), {{"count", count}});
    if (!planned) return fail(planned.error());
    const Result<Json> past = (*api)->get(join_path("/v1/triggers", arguments.text("NAME"), "/firings"), {{"limit", count}});
    if (!past) return fail(past.error());
    Console& console = context.console;
    if (console.json()) {
        Json both = *planned;
        console.document(both.set("firings", (*past)["items"]));
        return kDone;
    }
    const Json& rule = (*planned)["schedule"];
    console.line(one_line(fmt::format("{} in {}{}", rule.contains("cron") ? rule["cron"].as_string() : "every " + rule["every"].as_string(), (*planned)["timezone"].as_string(),
                                      planned->contains("paused") ? "; paused: " + (*planned)["paused"].as_string() : "")));
    const auto& items = (*past)["items"].as_array();
    for (auto item = items.rbegin(); item != items.rend(); ++item) {
        const std::string& outcome = (*item)["outcome"].as_string();
        const Style style = outcome == "started" ? Style::good : outcome == "waiting" ? Style::busy : Style::bad;
        console.line(fmt::format("  {}  {}  {}", local_words(*item), console.paint(style, fmt::format("{:<8}", outcome)),
                                 one_line(item->contains("job") ? (*item)["job"].as_string() : (*item)["why"].as_string())));
    }
    const auto& next = (*planned)["next"].as_array();
    console.line(next.empty() ? "it does not fire any more" : "next:");
    for (const Json& item : next)
        console.line(one_line(fmt::format("  {}{}", local_words(item), item.contains("skipped") ? "  skipped: " + item["skipped"].as_string() : "")));
    return kDone;
}

}  // namespace

Command triggers_schedule_command()
{
    return {.name = "triggers schedule",
            .summary = "Show when a trigger of type schedule fires next, and what came of its times before",
            .examples = "millwright triggers schedule nightly-report\nmillwright triggers schedule nightly-report --count 5",
            .options = {{"NAME", "", "The trigger", true}, {"--count", "N", "So many of each (1 to 200; else 20)"}},
            .run = schedule};
}

Command triggers_pause_command()
{
    return {.name = "triggers pause",
            .summary = "Take no calls for a while",
            .examples = "millwright triggers pause order-status-api --why 'the ticket system moves'",
            .options = {{"NAME", "", "The trigger", true}, {"--why", "TEXT", "Callers are told"}},
            .run = pause};
}

Command triggers_resume_command()
{
    return {.name = "triggers resume", .summary = "Take calls again", .examples = "millwright triggers resume order-status-api", .options = {{"NAME", "", "The trigger", true}}, .run = resume};
}

Command triggers_command()
{
    return {.name = "triggers", .summary = "List triggers; `triggers show` and `triggers token` tell how to call one", .examples = "millwright triggers", .options = {}, .run = list};
}

Command triggers_show_command()
{
    return {.name = "triggers show",
            .summary = "Show the addresses of a trigger with runnable calls, in our form and in both SAP forms",
            .examples = "millwright triggers show order-status-api",
            .options = {{"NAME", "", "The trigger", true}},
            .run = show};
}

Command triggers_token_command()
{
    return {.name = "triggers token",
            .summary = "Make a token that starts this trigger and nothing else",
            .examples = "millwright triggers token order-status-api\nmillwright triggers token order-status-api --rotate",
            .options = {{"NAME", "", "The trigger", true}, {"--rotate", "", "When there are two already: end the older one"}},
            .run = token};
}

}  // namespace mill::cli
