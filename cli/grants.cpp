// What a local run may do: shown, asked for, or refused with the lines that would allow it.
#include <fmt/format.h>

#include "cli/local_run.h"
#include "platform/base/yaml.h"

namespace mill::cli {

namespace {

void add(std::vector<std::string>& list, std::string item)
{
    for (const std::string& have : list)
        if (have == item) return;
    list.push_back(std::move(item));
}

}  // namespace

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
