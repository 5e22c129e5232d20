#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/resources.h"

namespace mill::cli {

namespace {

Result<int> run(Context& context, const Arguments& arguments)
{
    const Result<std::string> kind = plural_of_kind(arguments.text("KIND"));
    if (!kind) return context.usage(kind.error().what);
    if (*kind == "jobs" || *kind == "packages") return context.usage(fmt::format("{} cannot be deleted: they are the record of what ran", *kind));
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    for (const std::string& name : arguments.texts("NAME")) {
        const Result<Json> gone = (*api)->send({.method = "DELETE", .path = join_path("/v1/" + *kind, name)});
        if (!gone) return fail(gone.error());
        if (context.console.json()) context.console.record(Json::object({{"kind", *kind}, {"name", name}, {"deleted", true}}));
        else context.console.line(fmt::format("deleted {} {}", kind->substr(0, kind->size() - 1), name));
    }
    return kDone;
}

}  // namespace

Command delete_command()
{
    return {.name = "delete",
            .summary = "Delete resources, credentials or agents by name; refused while something refers to them",
            .examples = "millwright delete notifier order-status-chat\nmillwright delete trigger old-1 old-2",
            .options = {{"KIND", "", "environment, deployment, trigger, notifier, credential, agent or token", true}, {"NAME", "", "Which", true, true}},
            .run = run};
}

}  // namespace mill::cli
