#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "platform/base/nearest.h"
#include "platform/base/yaml.h"
#include "workflows/activities/registry.h"

namespace mill::cli {

namespace {

std::string joined(const std::vector<std::string>& list)
{
    std::string out;
    for (const std::string& item : list) out += (out.empty() ? "" : ", ") + item;
    return out;
}

void show_members(Console& console, std::string_view heading, const Json& schema)
{
    if (!schema.is_object()) return;
    console.line(fmt::format("\n{}:", heading));
    Table table({"  NAME", "TYPE", "WHAT"});
    for (const auto& [name, member] : schema["properties"].as_object()) {
        bool required = false;
        for (const Json& one : schema["required"].as_array()) required = required || one.as_string() == name;
        std::string words = member["description"].as_string();
        if (const Json& choices = member["enum"]; !choices.empty()) {
            words += words.empty() ? "" : "; ";
            for (std::size_t i = 0; i < choices.size(); ++i) words += (i == 0 ? "" : ", ") + choices[i].as_string();
        }
        if (const std::string& needs = member[workflows::kPermissionKeyword].as_string(); !needs.empty()) words += "; needs " + needs;
        table.add({"  " + name, member["type"].as_string() + (required ? ", needed" : ""), words});
    }
    table.show(console);
}

Result<int> run(Context& context, const Arguments& arguments)
{
    Console& console = context.console;
    if (!arguments.has("NAME")) {
        Json all = Json::array();
        Table table({"ACTIVITY", "NEEDS", "DOES"});
        for (const workflows::Activity& activity : workflows::activities()) {
            all.push(workflows::to_json(activity));
            table.add({activity.name, joined(activity.permissions), activity.description});
        }
        if (console.json()) console.document(all);
        else table.show(console);
        return kDone;
    }
    const std::string name = arguments.text("NAME");
    const workflows::Activity* activity = workflows::find_activity(name);
    if (activity == nullptr) {
        std::vector<std::string> names;
        for (const workflows::Activity& each : workflows::activities()) names.push_back(each.name);
        return fail(Errc::not_found, fmt::format("there is no activity '{}'{}; `millwright activities` lists them", name, did_you_mean(name, names)));
    }
    if (console.json()) {
        console.document(workflows::to_json(*activity));
        return kDone;
    }
    console.line(fmt::format("{}: {}", console.paint(Style::strong, activity->name), activity->description));
    if (!activity->permissions.empty()) console.line("needs " + joined(activity->permissions) + " in `permissions:` of package.yaml");
    show_members(console, "with", activity->with);
    if (activity->result.is_null()) console.line("\ngives: the data as it was");
    else show_members(console, "gives", activity->result);
    console.line("\nexample:");
    console.write(dump_yaml(Json::array({Json::object({{"my-task", activity->example}})})));
    return kDone;
}

}  // namespace

Command activities_command()
{
    return {.name = "activities",
            .summary = "List what a workflow may `call:`, or show one with its arguments, result and an example",
            .examples = "millwright activities\nmillwright activities file.write",
            .options = {{"NAME", "", "Only this one, in full"}},
            .run = run};
}

}  // namespace mill::cli
