#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/jobs.h"

namespace mill::cli {

namespace {

Result<int> run(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Console& console = context.console;
    int status = kDone;
    for (const std::string& text : arguments.texts("JOB")) {
        const Result<std::string> uid = resolve_job(**api, text);
        if (!uid) return fail(uid.error());
        Json body = Json::object();
        if (arguments.has("--why")) body.set("why", arguments.text("--why"));
        const Result<Json> job = (*api)->post(join_path("/v1/jobs", *uid, "/cancel"), body);
        if (!job) {
            console.error(fmt::format("{}: {}", *uid, job.error().what));
            status = exit_code(job.error());
        } else if (console.json()) {
            console.record(*job);
        } else {
            const bool ended = is_final_state((*job)["state"].as_string());
            console.line(fmt::format("{} {}{}", *uid, state_text(console, *job), ended ? "" : ", its agent is told to stop it"));
        }
    }
    return status;
}

}  // namespace

Command cancel_command()
{
    return {.name = "cancel",
            .summary = "Cancel jobs",
            .examples = "millwright cancel last --why 'wrong order number'",
            .options = {{"JOB", "", "Uids, their beginnings or ends, or `last`", true, true}, {"--why", "TEXT", "Kept with the job"}},
            .run = run};
}

}  // namespace mill::cli
