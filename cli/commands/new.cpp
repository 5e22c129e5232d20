#include <algorithm>

#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "platform/files.h"

namespace mill::cli {

namespace {

constexpr const char* kManifest = R"yaml(# {0}: what it is for, in a line.
#
# Try it here:    echo '{{"name": "Ada"}}' | millwright run . --input -
# Put it to work: millwright deploy .
name: {0}
version: 1.0.0
workflow: main.yaml
# What it may do beyond computing; `millwright activities` says what each activity needs.
# permissions:
#   network: [ "https://tickets.example.com" ]
#   files: {{ read: [ /srv/exports ], write: [ /srv/reports ] }}
)yaml";

constexpr const char* kWorkflow = R"yaml(document: {{ dsl: 1.0.3, namespace: examples, name: {0}, version: 1.0.0 }}
input:
  schema:
    document:
      type: object
      required: [ name ]
      properties: {{ name: {{ type: string, examples: [ "Ada" ] }} }}
do:
  - note:
      call: log
      with: {{ text: '${{ "asked about \(.name)" }}' }}
  - greet:
      set: {{ reply: '${{ "Good day, \(.name)" }}' }}
)yaml";

bool is_label(std::string_view name)
{
    return !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
           std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

Result<int> run(Context& context, const Arguments& arguments)
{
    std::string folder = arguments.text("FOLDER");
    while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
    const std::string name = folder.substr(folder.rfind('/') == std::string::npos ? 0 : folder.rfind('/') + 1);
    if (!is_label(name)) return context.usage(fmt::format("'{}' is no name for a package: small letters, digits and '-', 63 at most", name));
    for (const char* file : {"/package.yaml", "/main.yaml"})
        if (platform::exists(folder + file)) return fail(Errc::conflict, folder + file + " is there already");
    if (Status made = platform::make_folder(folder); !made) return context.usage(made.error().what);
    if (Status written = platform::write_file(folder + "/package.yaml", fmt::format(fmt::runtime(kManifest), name)); !written) return fail(written.error());
    if (Status written = platform::write_file(folder + "/main.yaml", fmt::format(fmt::runtime(kWorkflow), name)); !written) return fail(written.error());
    if (context.console.json()) context.console.document(Json::object({{"folder", folder}, {"name", name}}));
    else {
        context.console.line(fmt::format("{0}/package.yaml\n{0}/main.yaml", folder));
        context.console.note(fmt::format("next: echo '{{\"name\": \"Ada\"}}' | millwright run {} --input -", folder));
    }
    return kDone;
}

}  // namespace

Command new_command()
{
    return {.name = "new", .summary = "Make the folder of a new package with a workflow that runs", .examples = "millwright new order-status", .options = {{"FOLDER", "", "Its last part is the package's name", true}}, .run = run};
}

}  // namespace mill::cli
