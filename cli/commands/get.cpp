#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/resources.h"
#include "platform/base/yaml.h"

namespace mill::cli {

namespace {

/// As one would write it: kind and name in front, without what the factory adds.
Json as_file(const Json& resource, bool with_status)
{
    if (!resource.is_object()) return resource;
    Json out = Json::object();
    for (const char* first : {"kind", "name"})
        if (resource.contains(first)) out.set(first, resource[first]);
    for (const auto& [key, value] : resource.as_object())
        if (key != "kind" && key != "name" && (with_status || key != "status")) out.set(key, value);
    return out;
}

void show_yaml(Console& console, const Json& value)
{
    const std::string text = dump_yaml(value);
    console.write(printable(text));
    if (!text.ends_with('\n')) console.line();
}

Result<int> run(Context& context, const Arguments& arguments)
{
    const Result<std::string> kind = plural_of_kind(arguments.text("KIND"));
    if (!kind) return context.usage(kind.error().what);
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Console& console = context.console;
    const bool status = arguments.has("--status") || console.json();
    const std::string base = "/v1/" + *kind;
    if (arguments.has("NAME")) {
        std::string name = arguments.text("NAME");
        std::string path = join_path(base, name);
        if (const auto at = name.find('@'); *kind == "packages" && at != std::string::npos)
            path = join_path(join_path(base, name.substr(0, at)), name.substr(at + 1));
        const Result<Json> found = (*api)->get(path);
        if (!found) return fail(found.error());
        if (console.json()) console.document(*found);
        else show_yaml(console, as_file(*found, status));
        return kDone;
    }
    const Result<Json> list = (*api)->get(base, {{"limit", *kind == "jobs" ? "1000" : ""}});
    if (!list) return fail(list.error());
    if (console.json()) {
        console.document(*list);
        return kDone;
    }
    bool first = true;
    for (const Json& item : items(*list)) {
        if (!first) console.line("---");
        first = false;
        show_yaml(console, as_file(item, status));
    }
    if (first) console.note(fmt::format("no {}", *kind));
    return kDone;
}

}  // namespace

Command get_command()
{
    return {.name = "get",
            .summary = "Show resources as the files that `apply` takes",
            .examples = "millwright get triggers\nmillwright get deployment order-status > order-status.yaml\nmillwright get notifier order-status-chat --json",
            .options = {{"KIND", "", "calendars, publishers, environments, deployments, triggers, notifiers, packages, agents, jobs, credentials, tokens", true},
                        {"NAME", "", "Only this one (packages: NAME or NAME@VERSION)"},
                        {"--status", "", "With what the factory knows about it"}},
            .run = run};
}

}  // namespace mill::cli
