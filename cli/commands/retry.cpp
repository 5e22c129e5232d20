#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/jobs.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

void show(Console& console, const std::string& uid, const Json& made)
{
    console.line(uid_of(made));
    console.note(fmt::format("{} tries {} again", uid_of(made), uid));
}

Result<int> run(Context& context, const Arguments& arguments)
{
    return for_each_job(context, arguments, "/retry", Json::object({{"sameVersion", arguments.has("--same-version")}}), show);
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
