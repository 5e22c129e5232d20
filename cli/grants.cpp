// What a local run may do: shown, asked for, or refused with the lines that would allow it.
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/input.h"
#include "cli/local_run.h"
#include "platform/base/yaml.h"
#include "platform/terminal.h"

namespace mill::cli {

namespace {

void add(std::vector<std::string>& list, std::string item)
{
    for (const std::string& have : list)
        if (have == item) return;
    list.push_back(std::move(item));
}

Result<protocol::Permissions> read_grants(const std::string& path, std::stop_token stop)
{
    const Result<Json> file = read_object(path, std::move(stop));
    if (!file) return fail(file.error());
    return protocol::parse_permissions(file->contains("permissions") ? (*file)["permissions"] : *file, path);
}

}  // namespace

Result<LocalRun::Granting> granting_of(const Arguments& arguments)
{
    using Granting = LocalRun::Granting;
    if (int(arguments.has("--grant")) + int(arguments.has("--grant-asked")) + int(arguments.has("--grant-all")) > 1)
        return fail(Errc::invalid, "say only one of --grant, --grant-asked and --grant-all");
    return arguments.has("--grant-all") ? Granting::all : arguments.has("--grant-asked") ? Granting::asked : arguments.has("--grant") ? Granting::file : Granting::none;
}

Result<protocol::Permissions> given_grants(Context& context, LocalRun::Granting granting, const std::string& grant_file, const protocol::Permissions& asked)
{
    if (granting == LocalRun::Granting::asked) return asked;
    if (granting == LocalRun::Granting::all) {
        std::error_code error;
        return everything(asked, std::filesystem::current_path(error).string());
    }
    if (granting == LocalRun::Granting::file) return read_grants(grant_file, context.stop);
    protocol::Permissions nothing;
    nothing.limits = asked.limits;
    return nothing;
}

Result<protocol::Permissions> decide_grants(Context& context, const LocalRun& run, const std::string& name, const protocol::Permissions& asked)
{
    Result<protocol::Permissions> granted = given_grants(context, run.granting, run.grant_file, asked);
    if (!granted) return granted;
    const std::vector<std::string> lacking = protocol::missing(asked, *granted);
    if (lacking.empty()) return granted;
    if (run.granting == LocalRun::Granting::none && context.console.interactive()) {
        context.console.note(fmt::format("{} asks for:\n{}Allow this for this run? [y/N]", name, permission_lines(lacking)));
        const Result<std::string> answer = platform::read_line(false, context.stop);
        if (!answer) return fail(Errc::cancelled, "stopped: nothing was run");
        if (*answer == "y" || *answer == "Y" || *answer == "yes") return asked;
        return fail(Errc::denied, "not allowed");
    }
    return fail(Errc::denied, fmt::format("{} asks for what is not granted: {}. {} holds:\n{}", name, fmt::join(lacking, ", "),
                                          run.granting == LocalRun::Granting::file
                                              ? fmt::format("{} would allow it when it", run.grant_file)
                                              : "`--grant-asked` allows all that package.yaml asks for; `--grant FILE` allows it when FILE",
                                          permission_lines(lacking)));
}

protocol::Permissions everything(const protocol::Permissions& asked, const std::string& folder)
{
    protocol::Permissions out = asked;
    for (const char* rule : {"*", "127.0.0.1:*", "[::1]:*", "localhost:*"}) add(out.network, rule);  // "*" leaves private addresses out
    for (const char* program : {"node", "python3", "sh"}) add(out.commands, program);
    add(out.read, folder);
    add(out.write, folder);
    add(out.credentials, "*");
    add(out.system, "usage");
    return out;
}

std::string permission_lines(const std::vector<std::string>& items)
{
    Json map = Json::object();
    for (const std::string& item : items) {
        const auto space = item.find(' ');
        const std::string key = item.substr(0, space);
        const std::string value = space == std::string::npos ? "" : item.substr(space + 1);
        const auto dot = key.find('.');
        Json child = map[key.substr(0, dot)];
        if (dot == std::string::npos) child.push(value);
        else if (key.starts_with("limits.")) child.set(key.substr(dot + 1), value);
        else {
            Json list = child[key.substr(dot + 1)];
            list.push(value);
            child.set(key.substr(dot + 1), list);
        }
        map.set(key.substr(0, dot), child);
    }
    return dump_yaml(Json::object({{"permissions", map}}));
}

}  // namespace mill::cli
