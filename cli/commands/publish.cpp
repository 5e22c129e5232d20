#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/publishing.h"

namespace mill::cli {

namespace {

Result<int> run(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Console& console = context.console;
    Json all = Json::array();
    for (const std::string& path : arguments.texts("FILE")) {
        const Result<std::string> bytes = package_bytes(path);
        if (!bytes) return fail(bytes.error());
        for (const std::string& warning : secret_warnings(path)) console.note(warning);
        const Result<Published> published = publish(**api, *bytes, arguments.has("--draft"));
        if (!published) return fail(published.error());
        const Json& package = published->package;
        if (console.json()) all.push(package);
        else
            console.line(fmt::format("{} {} {} {}{}", published->existed ? "is there already:" : "published", package["name"].as_string(),
                                     package["version"].as_string(), package["digest"].as_string(),
                                     package.contains("state") && package["state"].as_string() != "released" ? ", " + package["state"].as_string() : ""));
    }
    if (console.json()) console.document(all);
    return kDone;
}

}  // namespace

Command publish_command()
{
    return {.name = "publish",
            .summary = "Send packages to the factory; a version never changes once it is there",
            .examples = "millwright publish order-status-1.2.0.mwp",
            .options = {reads_path({"FILE", "", ".mwp files, or folders that are packed first", true, true}), {"--draft", "", "As a draft: only deployments that say `allowDraft: true` take it, until `packages release`"}},
            .run = run};
}

}  // namespace mill::cli
