#include "cli/commands/commands.h"

namespace mill::cli {

namespace {

Result<int> run(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> found = (*api)->get(arguments.has("NAME") ? join_path("/v1/packages", arguments.text("NAME")) : "/v1/packages");
    if (!found) return fail(found.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*found);
        return kDone;
    }
    const WallTime now = system_clock().now();
    Table table({"PACKAGE", "VERSION", "SIZE", "PUBLISHED", "DIGEST"});
    table.align_right(2);
    for (const Json& item : items(*found))
        table.add({item["name"].as_string(), item["version"].as_string(), show_bytes(static_cast<std::uint64_t>(item["size"].as_integer())),
                   show_age(item["createdAt"].as_string(), now), item["digest"].as_string()});
    if (table.empty()) console.note("no packages; `millwright publish FILE.mwp` sends one");
    else table.show(console);
    return kDone;
}

}  // namespace

Command packages_command()
{
    return {.name = "packages",
            .summary = "List published packages",
            .examples = "millwright packages\nmillwright packages order-status",
            .options = {{"NAME", "", "Only the versions of this one"}},
            .run = run};
}

}  // namespace mill::cli
