#include <algorithm>

#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/jobs.h"

namespace mill::cli {

namespace {

constexpr std::size_t kExcerpt = 300;

std::string text_of(const Json& value) { return value.is_string() ? value.as_string() : value.is_null() ? "" : dump_json(value); }

/// "201", "500 Internal Server Error", or why there was no answer.
std::string outcome(const Json& attempt)
{
    std::string error = text_of(attempt["error"]);
    const Json& status = attempt["response"]["status"];
    if (!status.is_number() || status.as_integer() == 0) return error;
    return fmt::format("{}{}{}", status.as_integer(), error.empty() ? "" : " ", error);
}

/// On one line, and short unless all of it was asked for.
std::string excerpt(const Json& value, bool full)
{
    std::string text = one_line(text_of(value));
    if (full || text.size() <= kExcerpt) return text;
    text.resize(kExcerpt);
    return one_line(text) + "… (--full shows all)";
}

void show_whole(Console& console, const Json& delivery, WallTime now, bool full)
{
    const std::string& state = delivery["state"].as_string();
    console.line(fmt::format("{}  {}  {} on {}", console.paint(Style::strong, one_line(delivery["id"].as_string())),
                             console.paint(style_of_state(state), state), one_line(delivery["notifier"].as_string()),
                             one_line(delivery["on"].as_string())));
    if (const std::string& next = delivery["nextTry"].as_string(); !next.empty() && state == "pending")
        console.line(fmt::format("  next try {}", show_time(next, now)));
    if (const Json& held = delivery["held"]; held.is_object())
        console.line(fmt::format("  held since {}, because {}; next probe {}", show_time(held["since"].as_string(), now), one_line(held["because"].as_string()), show_time(held["nextProbe"].as_string(), now)));
    if (const std::string& subject = delivery["subject"].as_string(); !subject.empty()) console.line("  about    " + one_line(subject));
    if (const std::string& accepted = delivery["finishedAt"].as_string(); !accepted.empty() && state == "delivered")
        console.line(fmt::format("  accepted {}", show_time(accepted, now, true)));
    if (const std::string error = text_of(delivery["error"]); !error.empty()) console.line("  error    " + one_line(error));
    if (state == "dead") console.line("  again    millwright deliveries resend " + one_line(delivery["id"].as_string()));
    for (const Json& attempt : delivery["attempts"].as_array()) {
        const Json& request = attempt["request"];
        console.line(fmt::format("  {}. {}  {}  {} {} → {}", attempt["number"].as_integer(), show_time(attempt["time"].as_string(), now, true),
                                 show_span(std::chrono::milliseconds(attempt["durationMs"].as_integer())), one_line(request["method"].as_string()),
                                 one_line(request["url"].as_string()), one_line(outcome(attempt))));
        if (const std::string body = excerpt(request["body"], full); !body.empty()) console.line("     sent   " + body);
        if (const std::string answer = excerpt(attempt["response"]["body"], full); !answer.empty()) console.line("     answer " + answer);
    }
}

Result<int> list(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    std::string job;
    if (arguments.has("JOB")) {
        const Result<std::string> uid = resolve_job(**api, arguments.text("JOB"));
        if (!uid) return fail(uid.error());
        job = *uid;
    }
    const Result<Json> found =
        (*api)->get("/v1/deliveries", {{"job", job}, {"state", arguments.text("--state")}, {"notifier", arguments.text("--notifier")}, {"event", arguments.text("--on")}, {"since", arguments.text("--since")},
                                       {"cursor", arguments.text("--cursor")}, {"limit", arguments.text("--limit", "50")}});
    if (!found) return fail(found.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*found);
        return kDone;
    }
    if (items(*found).empty()) {
        console.note(job.empty() ? "no deliveries" : "no deliveries of this job: its trigger has no notifier for what happened");
        return kDone;
    }
    const WallTime now = system_clock().now();
    if (!job.empty() || arguments.has("--full")) {
        for (const Json& delivery : items(*found)) show_whole(console, delivery, now, arguments.has("--full"));
        return kDone;
    }
    Table table({"DELIVERY", "STATE", "NOTIFIER", "ON", "ABOUT", "TRIES", "LAST ANSWER", "NEXT TRY"});
    table.paint_states(1);
    for (const Json& delivery : items(*found)) {
        const Json& attempts = delivery["attempts"];
        table.add({delivery["id"].as_string(), delivery["state"].as_string(), delivery["notifier"].as_string(), delivery["on"].as_string(),
                   delivery["job"].as_string().empty() ? delivery["subject"].as_string() : delivery["job"].as_string(), fmt::format("{}", std::max<std::int64_t>(delivery["tries"].as_integer(), static_cast<std::int64_t>(attempts.size()))), attempts.empty() ? "" : outcome(attempts[attempts.size() - 1]),
                   delivery["nextTry"].as_string().empty() || delivery["state"].as_string() != "pending" ? "" :
                   delivery["held"].is_object() ? "held, probe " + show_time(delivery["held"]["nextProbe"].as_string(), now) : show_time(delivery["nextTry"].as_string(), now)});
    }
    table.show(console);
    if (const std::string& next = (*found)["next"].as_string(); !next.empty()) console.note(fmt::format("more: millwright deliveries --cursor {}", next));
    return kDone;
}

Result<int> resend_filtered(Context& context, Api& api, const Arguments& arguments)
{
    Json body = Json::object({{"state", Json(arguments.text("--state", "dead"))}});
    for (const auto& [option, member] : {std::pair{"--notifier", "notifier"}, {"--since", "since"}, {"--on", "event"}})
        if (arguments.has(option)) body.set(member, Json(arguments.text(option)));
    if (arguments.has("--dry-run")) body.set("dryRun", Json(true));
    const Result<Json> answer = api.send({.method = "POST", .path = "/v1/deliveries/resend", .body = body});
    if (!answer) return fail(answer.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*answer);
        return kDone;
    }
    const bool dry = arguments.has("--dry-run");
    for (const Json& delivery : items(*answer))
        console.line(fmt::format("{} to {} on {} {}", one_line(delivery["id"].as_string()), one_line(delivery["notifier"].as_string()), one_line(delivery["on"].as_string()),
                                 dry ? "would go out again" : "goes out again"));
    for (const Json& delivery : (*answer)["refused"].as_array())
        console.line(fmt::format("{} to {} cannot: {}", one_line(delivery["id"].as_string()), one_line(delivery["notifier"].as_string()), one_line(delivery["error"].as_string())));
    if (items(*answer).empty()) console.note("none to send again");
    if ((*answer)["more"].as_bool()) console.note(dry ? "there are more than these" : "there are more: say it again, or a narrower filter");
    return kDone;
}

Result<int> resend(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const bool filtered = arguments.has("--notifier") || arguments.has("--since") || arguments.has("--on");
    if (arguments.has("ID") + arguments.has("--job") + filtered != 1) return context.usage("say the id of a delivery, or --job JOB, or a filter: --notifier NAME, --since TIME, --on EVENT");
    if (!filtered && (arguments.has("--dry-run") || arguments.has("--state")))
        return context.usage("--dry-run and --state go with a filter: --notifier NAME, --since TIME or --on EVENT");
    if (filtered) return resend_filtered(context, **api, arguments);
    std::string path;
    if (arguments.has("--job")) {
        const Result<std::string> uid = resolve_job(**api, arguments.text("--job"));
        if (!uid) return fail(uid.error());
        path = join_path("/v1/jobs", *uid, "/deliveries/resend");
    } else {
        path = join_path("/v1/deliveries", arguments.text("ID"), "/resend");
    }
    const Result<Json> answer = (*api)->post(path);
    if (!answer) return fail(answer.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*answer);
        return kDone;
    }
    const auto say = [&](const Json& delivery) {
        console.line(fmt::format("{} to {} goes out again", one_line(delivery["id"].as_string()), one_line(delivery["notifier"].as_string())));
    };
    if (answer->contains("items"))
        for (const Json& delivery : items(*answer)) say(delivery);
    else say(*answer);
    if (answer->contains("items") && items(*answer).empty()) console.note("nothing to send again: all deliveries of this job arrived");
    return kDone;
}

}  // namespace

Command deliveries_command()
{
    return {.name = "deliveries",
            .summary = "List notifications on their way: of one job in full, else the latest",
            .examples = "millwright deliveries last\nmillwright deliveries --state dead\nmillwright deliveries resend 01930c5e-7a44-7c11-9a52-0c7f2a3b4c5d",
            .options = {{"JOB", "", "The job's uid, its beginning or end, or `last`; none: all"},
                        {"--state", "STATE", "pending, delivered or dead"},
                        {"--notifier", "NAME", "Only those of this notifier"},
                        {"--on", "EVENT", "Only those of this event, such as failure or waiting"},
                        {"--since", "TIME", "Only those made since then, or within this duration, such as 2h"},
                        {"--full", "", "Every attempt with all that was sent and answered"},
                        {"--limit", "N", "At most so many (50)"},
                        {"--cursor", "CURSOR", "Go on where an earlier list ended"}},
            .run = list};
}

Command deliveries_resend_command()
{
    return {.name = "deliveries resend",
            .summary = "Send a notification once more",
            .examples = "millwright deliveries resend 01930c5e-7a44-7c11-9a52-0c7f2a3b4c5d\nmillwright deliveries resend --job last\nmillwright deliveries resend --notifier order-status-chat --since 2h --dry-run",
            .options = {{"ID", "", "The delivery"},
                        {"--job", "JOB", "All of this job that did not arrive"},
                        {"--notifier", "NAME", "All of this notifier in the state"},
                        {"--state", "STATE", "With a filter: pending, delivered or dead (dead)"},
                        {"--since", "TIME", "Those made since then, or within this duration, such as 2h"},
                        {"--on", "EVENT", "Those of this event"},
                        {"--dry-run", "", "Only say which they are"}},
            .run = resend};
}

}  // namespace mill::cli
