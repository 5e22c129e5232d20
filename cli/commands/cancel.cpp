#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/jobs.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

void show(Console& console, const std::string& uid, const Json& job)
{
    console.line(fmt::format("{} {}{}", uid, state_text(console, job), is_final_state(job["state"].as_string()) ? "" : ", its agent is told to stop it"));
}

Result<int> run(Context& context, const Arguments& arguments)
{
    Json body = Json::object();
    if (arguments.has("--why")) body.set("why", arguments.text("--why"));
    return for_each_job(context, arguments, "/cancel", body, show);
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
