#include "agent/person/does.h"

#include <algorithm>

#include <fmt/format.h>

namespace mill::agent {

std::vector<Deed> does(const protocol::Permissions& granted)
{
    std::vector<Deed> out;
    const auto each = [&](const std::vector<std::string>& items, const char* code, auto words) {
        for (const std::string& item : items) out.push_back({code, item, words(item)});
    };
    const auto shown = [&](const std::string& name) { return std::find(granted.reveal.begin(), granted.reveal.end(), name) != granted.reveal.end(); };
    each(granted.write, "files_write", [](const std::string& path) { return fmt::format("reads, changes and makes files in {}", path); });
    each(granted.network, "network", [](const std::string& host) { return host == "*" ? std::string("speaks to any server") : fmt::format("speaks to {}", host); });
    each(granted.commands, "command", [](const std::string& program) { return fmt::format("starts the program {}", program); });
    for (const std::string& name : granted.credentials)
        out.push_back({shown(name) ? "credential_shown" : "credential", name,
                       shown(name) ? fmt::format("signs in with {}, and gives the password to a program that it starts", name) : fmt::format("signs in with {}", name)});
    each(granted.read, "files_read", [](const std::string& path) { return fmt::format("reads files in {}", path); });
    each(granted.system, "system", [](const std::string& what) { return what == "usage" ? std::string("sees how busy this computer is and which programs run") : fmt::format("uses {} of this computer", what); });
    // A permission that a later version has, and this list not: it is not hushed up.
    protocol::Permissions known;
    known.limits = granted.limits;
    known.network = granted.network, known.read = granted.read, known.write = granted.write, known.commands = granted.commands;
    known.credentials = granted.credentials, known.reveal = granted.reveal, known.system = granted.system;
    for (std::string& item : protocol::missing(granted, known)) {
        std::string text = fmt::format("has the permission {}", item);
        out.push_back({"other", std::move(item), std::move(text)});
    }
    if (out.empty()) out.push_back({"nothing", "", "computes only: no files, no network, no programs"});
    return out;
}

Json to_json(const std::vector<Deed>& deeds)
{
    Json out = Json::array();
    for (const Deed& deed : deeds) out.push(Json::object({{"code", deed.code}, {"what", deed.what}, {"text", deed.text}}));
    return out;
}

}  // namespace mill::agent
