#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/jobs.h"

namespace mill::cli {

namespace {

Result<int> run(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<std::string> uid = resolve_job(**api, arguments.text("JOB"));
    if (!uid) return fail(uid.error());
    const Result<Json> list = (*api)->get(join_path("/v1/jobs", *uid, "/timeline"));
    if (!list) return fail(list.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*list);
        return kDone;
    }
    const WallTime now = system_clock().now();
    Table table({"TIME", "AFTER", "STATE", "AGENT", "WHAT"});
    table.paint_states(2);
    table.align_right(1);
    Result<WallTime> before = fail(Errc::not_found, "");
    for (const Json& entry : items(*list)) {
        const Result<WallTime> time = parse_time(entry["time"].as_string());
        std::string agent = entry["agent"].as_string();
        if (entry["attempt"].as_integer() > 1) agent += fmt::format(" (attempt {})", entry["attempt"].as_integer());
        const std::string& reason = entry["reason"].as_string();
        const std::string& text = entry["text"].as_string();
        table.add({show_time(entry["time"].as_string(), now, true), time && before ? show_span(*time - *before) : "",
                   entry["state"].as_string(), agent, !text.empty() ? text : reason == "completed" ? "" : reason});
        if (time) before = time;
    }
    if ((*list)["state"].as_string() == "ready") {   // the wait that has not ended is the one that is asked about
        const Result<Json> job = (*api)->get(join_path("/v1/jobs", *uid));
        const std::string why = job ? (*job)["waitingFor"].as_string() : "";
        if (!why.empty()) table.add({show_time(format_time(now), now, true), before ? show_span(now - *before) : "", "waits", "", why});
    }
    table.show(console);
    return kDone;
}

}  // namespace

Command timeline_command()
{
    return {.name = "timeline",
            .summary = "Show each state of a job with its time, and what it waits for now",
            .examples = "millwright timeline last",
            .options = {{"JOB", "", "The job's uid, its beginning or end, or `last`", true}},
            .run = run};
}

}  // namespace mill::cli
