#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/jobs.h"
#include "cli/listing.h"

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

std::vector<std::string> row(const Json& job, WallTime now)
{
    std::string took;
    const Result<WallTime> begun = parse_time(job["createdAt"].as_string()), ended = parse_time(job["endedAt"].as_string());
    if (begun && ended) took = show_span(*ended - *begun);
    const std::string& reason = job["reason"].as_string();
    const std::string& waiting = job["waitingFor"].as_string();
    return {uid_of(job), job["state"].as_string(), job["trigger"].as_string(), job["agent"].as_string(), show_time(job["createdAt"].as_string(), now), took,
            !waiting.empty() ? waiting : reason == "completed" ? "" : reason};
}

Result<int> run(Context& context, const Arguments& arguments)
{
    const Result<std::string> since = since_text(arguments.text("--since"));
    if (!since) return context.usage(since.error().what);
    return show_listing(context, {.path = "/v1/jobs",
                                  .query = {{"state", arguments.text("--state")},
                                            {"trigger", arguments.text("--trigger")},
                                            {"deployment", arguments.text("--deployment")},
                                            {"environment", arguments.text("--environment")},
                                            {"agent", arguments.text("--agent")},
                                            {"since", *since},
                                            {"cursor", arguments.text("--cursor")},
                                            {"limit", arguments.text("--limit", "20")}},
                                  .headings = {"JOB", "STATE", "TRIGGER", "AGENT", "CREATED", "TOOK", "REASON"},
                                  .row = row,
                                  .none = "no jobs; `millwright trigger NAME` starts one",
                                  .more = "millwright jobs --cursor"});
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
