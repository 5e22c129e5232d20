#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/publishing.h"
#include "platform/files.h"
#include "workflows/package.h"

namespace mill::cli {

namespace {

Result<int> run(Context& context, const Arguments& arguments)
{
    const Result<std::string> bytes = package_bytes(arguments.text("FOLDER"), arguments.text("--package-version"));
    if (!bytes) return fail(bytes.error());
    const Result<workflows::Manifest> manifest = manifest_in(*bytes);
    if (!manifest) return fail(manifest.error());
    const std::string path = arguments.text("--output", fmt::format("{}-{}.mwp", manifest->name, manifest->version));
    if (Status fine = platform::may_write(path); !fine) return context.usage(fine.error().what);
    if (Status written = platform::write_output(path, *bytes); !written) return fail(Errc::unavailable, written.error().what);
    const std::string digest = workflows::package_digest(*bytes);
    Console& console = context.console;
    for (const std::string& warning : secret_warnings(arguments.text("FOLDER"))) console.note(warning);
    if (console.json())
        console.document(Json::object({{"file", path}, {"name", manifest->name}, {"version", manifest->version}, {"digest", digest},
                                       {"size", static_cast<std::int64_t>(bytes->size())}, {"manifest", workflows::to_json(*manifest)}}));
    else console.line(fmt::format("{}  {} {}  {}  {}", path, manifest->name, manifest->version, show_bytes(bytes->size()), digest));
    return kDone;
}

}  // namespace

Command pack_command()
{
    return {.name = "pack",
            .summary = "Make one .mwp file of a package's folder; the same folder gives the same bytes",
            .examples = "millwright pack my-package/\nmillwright pack my-package/ --output build/my-package.mwp",
            .options = {reads_path({"FOLDER", "", "Folder with package.yaml", true}),
                        writes_file({"-o,--output", "FILE", "Else NAME-VERSION.mwp here"}),
                        {"--package-version", "VERSION", "Instead of the version in package.yaml"}},
            .run = run};
}

}  // namespace mill::cli
