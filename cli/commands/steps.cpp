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
    const Result<Json> list = all_steps(**api, *uid);
    if (!list) return fail(list.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(Json::object({{"job", *uid}, {"items", *list}}));
        return kDone;
    }
    if (items(*list).empty()) {
        console.note("no step yet; `millwright why` says what the job waits for");
        return kDone;
    }
    const WallTime now = system_clock().now();
    Table table({"TIME", "STATE", "STEP", "TYPE", "TOOK", "WHERE", "ERROR"});
    table.paint_states(1);
    table.align_right(4);
    for (const Json& step : items(*list)) {
        const Json& started = step.contains("startedAt") ? step["startedAt"] : step["detail"]["startedAt"];
        const Result<WallTime> from = parse_time(started.as_string()), to = parse_time(step["time"].as_string());
        table.add({show_time(step["time"].as_string(), now, true), step["state"].as_string(), step["name"].as_string(),
                   step["type"].as_string(), from && to ? show_span(*to - *from) : "", step["task"].as_string(),
                   step["error"].is_object() ? error_text(step["error"]) : ""});
    }
    table.show(console);
    return kDone;
}

}  // namespace

Command steps_command()
{
    return {.name = "steps",
            .summary = "Show the steps that a job went through",
            .examples = "millwright steps last\nmillwright steps last --json",
            .options = {{"JOB", "", "The job's uid, its beginning or end, or `last`", true}},
            .run = run};
}

}  // namespace mill::cli
