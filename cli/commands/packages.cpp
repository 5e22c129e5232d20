#include "cli/commands/commands.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

std::vector<std::string> row(const Json& item, WallTime now)
{
    return {item["name"].as_string(), item["version"].as_string(), show_bytes(static_cast<std::uint64_t>(item["size"].as_integer())), show_age(item["createdAt"].as_string(), now),
            item["digest"].as_string()};
}

Result<int> run(Context& context, const Arguments& arguments)
{
    return show_listing(context, {.path = arguments.has("NAME") ? join_path("/v1/packages", arguments.text("NAME")) : "/v1/packages",
                                  .headings = {"PACKAGE", "VERSION", "SIZE", "PUBLISHED", "DIGEST"},
                                  .row = row,
                                  .none = "no packages; `millwright publish FILE.mwp` sends one"});
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
