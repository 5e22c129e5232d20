#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "workflows/schemas/schemas.h"

namespace mill::cli {

namespace {

Result<int> run(Context& context, const Arguments& arguments)
{
    const std::string what = arguments.text("WHAT", "workflow");
    if (what != "workflow" && what != "package") return context.usage(fmt::format("there is no schema '{}': workflow and package are", what));
    context.console.document(what == "workflow" ? workflows::workflow_schema() : workflows::package_schema());
    return kDone;
}

}  // namespace

Command schema_command()
{
    return {.name = "schema",
            .summary = "Print the JSON Schema of workflow files or of package.yaml, for editors",
            .examples = "millwright schema workflow > workflow.json\nmillwright schema package > package.json",
            .options = {{"WHAT", "", "workflow (unless told) or package"}},
            .run = run};
}

}  // namespace mill::cli
