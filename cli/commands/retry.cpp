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
        const Result<Json> made = (*api)->post(join_path("/v1/jobs", *uid, "/retry"), Json::object({{"sameVersion", arguments.has("--same-version")}}));
        if (!made) {
            console.error(fmt::format("{}: {}", *uid, made.error().what));
            status = exit_code(made.error());
        } else if (console.json()) {
            console.record(*made);
        } else {
            console.line(uid_of(*made));
            console.note(fmt::format("{} tries {} again", uid_of(*made), *uid));
        }
    }
    return status;
}

}  // namespace

Command retry_command()
{
    return {.name = "retry",
            .summary = "Run a job again as a new job, linked to the old one",
            .examples = "millwright retry last\nmillwright retry last --same-version",
            .options = {{"JOB", "", "Uids, their beginnings or ends, or `last`", true, true},
                        {"--same-version", "", "With the package version of the old job instead of the deployment's present one"}},
            .run = run};
}

}  // namespace mill::cli
