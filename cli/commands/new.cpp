#include <algorithm>

#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "platform/files.h"

namespace mill::cli {

namespace {

constexpr const char* kManifest = R"yaml(# {0}: what it is for, in a line.
#
# Check it:       millwright check .
# Test it:        millwright test .
# Try it here:    millwright run . --input input.json
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

constexpr const char* kTest = R"yaml(# Runs with `millwright test .`: in the sandbox, with stand-ins for what would call somebody. docs/testing.md has all that a case can say.
cases:
  - name: somebody with a name is greeted
    input: {{ name: Ada }}
    expect:
      output: {{ reply: "Good day, Ada" }}
  - name: a name is needed
    input: {{}}
    expect:
      error: {{ type: validation }}
)yaml";

constexpr const char* kInput = R"({{"name": "Ada"}}
)";

struct NewFile {
    const char* path;
    const char* text;  ///< {0}: the package's name
};
constexpr NewFile kFiles[] = {{"/package.yaml", kManifest}, {"/main.yaml", kWorkflow}, {"/tests/{0}.yaml", kTest}, {"/input.json", kInput}};

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
    Json made = Json::array();
    for (const NewFile& file : kFiles) {
        const std::string path = folder + fmt::format(fmt::runtime(file.path), name);
        if (platform::exists(path)) return fail(Errc::conflict, path + " is there already");
        made.push(path);
    }
    for (const std::string& each : {folder, folder + "/tests"})
        if (Status done = platform::make_folder(each); !done) return context.usage(done.error().what);
    for (const NewFile& file : kFiles)
        if (Status written = platform::write_file(folder + fmt::format(fmt::runtime(file.path), name), fmt::format(fmt::runtime(file.text), name)); !written)
            return fail(written.error());
    if (context.console.json()) {
        context.console.document(Json::object({{"folder", folder}, {"name", name}, {"files", made}}));
        return kDone;
    }
    for (const Json& path : made.as_array()) context.console.line(path.as_string());
    context.console.note(fmt::format("next: cd {} && millwright check . && millwright test . && millwright run . --input input.json", folder));
    return kDone;
}

}  // namespace

Command new_command()
{
    return {.name = "new", .summary = "Make the folder of a new package: a workflow that runs, a test that passes, an input", .examples = "millwright new order-status && cd order-status && millwright test", .options = {{"FOLDER", "", "Its last part is the package's name", true}}, .run = run};
}

}  // namespace mill::cli
