#include "cli/commands/commands.h"
#include "protocol/version.h"

namespace mill::cli {

namespace {

Result<int> run(Context& context, const Arguments&)
{
    const std::string version(protocol::kProgramVersion);
    if (context.console.json()) context.console.document(Json::object({{"version", version}, {"protocol", protocol::kVersion}}));
    else context.console.line("millwright " + version);
    return kDone;
}

}  // namespace

Command version_command()
{
    return {.name = "version", .summary = "Show the version", .examples = "millwright version", .options = {}, .run = run};
}

}  // namespace mill::cli
