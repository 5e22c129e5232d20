#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/preflight.h"
#include "cli/resources.h"

namespace mill::cli {

namespace {

Result<int> run(Context& context, const Arguments& arguments)
{
    const Result<std::vector<ResourceDocument>> documents = read_resources(arguments.texts("--file"), context.stop);
    if (!documents) return fail(documents.error());
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const bool dry_run = arguments.has("--dry-run");
    if (arguments.has("--prune") && !arguments.has("--source")) return context.usage("--prune needs --source NAME: it deletes what was applied from that source before and is no longer among the files");
    const Result<Json> results = apply_resources(**api, *documents, dry_run, arguments.has("--accept"), arguments.has("--force"), arguments.text("--source"), arguments.has("--prune"));
    if (!results) return fail(results.error());
    const Json checks = dry_run ? Json::array() : preflights(**api, *results);
    if (context.console.json()) {
        Json out = Json::object({{"dryRun", dry_run}, {"results", *results}});
        if (!checks.empty()) out.set("preflights", checks);
        context.console.document(out);
        return kDone;
    }
    show_results(context.console, *results, dry_run);
    warn_preflights(context.console, *results, checks);
    return kDone;
}

}  // namespace

Command apply_command()
{
    return {.name = "apply",
            .summary = "Send calendars, publishers, environments, deployments, triggers and notifiers from YAML files, all or nothing",
            .examples = "millwright apply -f automation.yaml\nmillwright apply -f deploy/ --dry-run\nmillwright apply -f deploy/ --source it-services --prune --dry-run\nmillwright get triggers | millwright apply -f -",
            .options = {reads_path({"-f,--file", "PATH", "File with one or more documents, folder, or -; may be repeated", true, true}),
                        {"--dry-run", "", "Change nothing, show the difference"},
                        {"--accept", "", "Grant a deployment what its package version asks for beyond the permissions in its file"},
                        {"--force", "", "Go to a version that was rolled back; take documents over from another source; prune all of a source"},
                        {"--source", "NAME", "Whose documents these are, such as a repository's name; it is kept with them"},
                        {"--prune", "", "Delete what was applied from the same source before and is not among the files"}},
            .run = run};
}

}  // namespace mill::cli
