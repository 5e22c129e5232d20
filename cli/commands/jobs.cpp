#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/jobs.h"

namespace mill::cli {

namespace {

/// "2h" is two hours ago; a time is a time.
Result<std::string> since_text(const std::string& text)
{
    if (text.empty() || parse_time(text)) return text;
    const Result<Milliseconds> ago = parse_duration(text);
    if (!ago) return fail(Errc::invalid, fmt::format("--since '{}' is neither a time (2026-11-22T13:00:00Z) nor a duration (2h)", text));
    return format_time(system_clock().now() - *ago);
}

Result<int> run(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<std::string> since = since_text(arguments.text("--since"));
    if (!since) return fail(since.error());
    const Result<Json> list = (*api)->get("/v1/jobs", {{"state", arguments.text("--state")},
                                                       {"trigger", arguments.text("--trigger")},
                                                       {"deployment", arguments.text("--deployment")},
                                                       {"environment", arguments.text("--environment")},
                                                       {"agent", arguments.text("--agent")},
                                                       {"since", *since},
                                                       {"cursor", arguments.text("--cursor")},
                                                       {"limit", arguments.text("--limit", "20")}});
    if (!list) return fail(list.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*list);
        return kDone;
    }
    if (items(*list).empty()) {
        console.note("no jobs; `millwright trigger NAME` starts one");
        return kDone;
    }
    const WallTime now = system_clock().now();
    Table table({"JOB", "STATE", "TRIGGER", "AGENT", "CREATED", "TOOK", "REASON"});
    table.paint_states(1);
    for (const Json& job : items(*list)) {
        std::string took;
        const Result<WallTime> begun = parse_time(job["createdAt"].as_string()), ended = parse_time(job["endedAt"].as_string());
        if (begun && ended) took = show_span(*ended - *begun);
        const std::string& reason = job["reason"].as_string();
        const std::string& waiting = job["waitingFor"].as_string();
        table.add({uid_of(job), job["state"].as_string(), job["trigger"].as_string(), job["agent"].as_string(),
                   show_time(job["createdAt"].as_string(), now), took, !waiting.empty() ? waiting : reason == "completed" ? "" : reason});
    }
    table.show(console);
    if (const std::string& next = (*list)["next"].as_string(); !next.empty())
        console.note(fmt::format("more: millwright jobs --cursor {}", next));
    return kDone;
}

}  // namespace

Command jobs_command()
{
    return {.name = "jobs",
            .summary = "List jobs, newest first",
            .examples = "millwright jobs\nmillwright jobs --state failed --since 2h\nmillwright jobs --trigger order-status-api --limit 100 --json",
            .options = {{"--state", "STATE", "ready, assigned, running, waiting, successful, failed, cancelled or expired"},
                        {"--trigger", "NAME", "Only jobs of this trigger"},
                        {"--deployment", "NAME", "Only jobs of this deployment"},
                        {"--environment", "NAME", "Only jobs of this environment"},
                        {"--agent", "NAME", "Only jobs that this agent ran"},
                        {"--since", "TIME", "Created since: a time, or how long ago (2h)"},
                        {"--limit", "N", "At most so many (20)"},
                        {"--cursor", "CURSOR", "Go on where an earlier list ended"}},
            .run = run};
}

}  // namespace mill::cli
