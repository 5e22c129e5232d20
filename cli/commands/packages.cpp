#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

std::vector<std::string> row(const Json& item, WallTime now)
{
    return {item["name"].as_string(), item["version"].as_string(), item["state"].as_string(), show_bytes(static_cast<std::uint64_t>(item["size"].as_integer())),
            show_age(item["createdAt"].as_string(), now), item["digest"].as_string()};
}

Result<int> run(Context& context, const Arguments& arguments)
{
    return show_listing(context, {.path = arguments.has("NAME") ? join_path("/v1/packages", arguments.text("NAME")) : "/v1/packages",
                                  .headings = {"PACKAGE", "VERSION", "STATE", "SIZE", "PUBLISHED", "DIGEST"},
                                  .row = row,
                                  .none = "no packages; `millwright publish FILE.mwp` sends one"});
}

Result<int> set_state(Context& context, const Arguments& arguments, std::string_view state)
{
    const std::string what = arguments.text("PACKAGE");
    const std::size_t at = what.find('@');
    if (at == std::string::npos || at == 0 || at + 1 == what.size()) return context.usage(fmt::format("PACKAGE is NAME@VERSION, such as order-status@1.2.0; found '{}'", printable(what)));
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object({{"state", state}});
    if (arguments.has("--reason")) body.set("reason", arguments.text("--reason"));
    const Result<Json> package = (*api)->put(join_path("/v1/packages", what.substr(0, at), join_path("", what.substr(at + 1), "/state")), body);
    if (!package) return fail(package.error());
    if (context.console.json()) context.console.document(*package);
    else context.console.line(one_line(fmt::format("{} is {}", what, (*package)["state"].as_string())));
    return kDone;
}

Result<int> release(Context& context, const Arguments& arguments) { return set_state(context, arguments, "released"); }
Result<int> deprecate(Context& context, const Arguments& arguments) { return set_state(context, arguments, "deprecated"); }
Result<int> decommission(Context& context, const Arguments& arguments) { return set_state(context, arguments, "decommissioned"); }

std::vector<Option> state_options() { return {{"PACKAGE", "", "NAME@VERSION", true}, {"--reason", "TEXT", "Shown to whoever is kept from using it"}}; }

}  // namespace

Command packages_command()
{
    return {.name = "packages",
            .summary = "List published packages; `packages release`, `deprecate` and `decommission` say what a version is for",
            .examples = "millwright packages\nmillwright packages order-status",
            .options = {{"NAME", "", "Only the versions of this one"}},
            .run = run};
}

Command packages_release_command()
{
    return {.name = "packages release",
            .summary = "Let a draft be deployed anywhere, or take a deprecation back",
            .examples = "millwright packages release order-status@1.2.0",
            .options = state_options(),
            .run = release};
}

Command packages_deprecate_command()
{
    return {.name = "packages deprecate",
            .summary = "Warn whoever deploys this version; what runs of it goes on",
            .examples = "millwright packages deprecate order-status@1.2.0 --reason 'use 1.3'",
            .options = state_options(),
            .run = deprecate};
}

Command packages_decommission_command()
{
    return {.name = "packages decommission",
            .summary = "No more jobs of this version, for good; those that wait do not start, those that run go on",
            .examples = "millwright packages decommission order-status@1.1.0 --reason 'orders twice'",
            .options = state_options(),
            .run = decommission};
}

}  // namespace mill::cli
