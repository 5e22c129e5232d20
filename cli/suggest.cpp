#include "cli/suggest.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/nearest.h"

namespace mill::cli {

namespace {

bool takes_a_value(std::string_view word)
{
    return word == "--factory" || word == "--token-file" || word == "--ca" || word == "--config" || word == "--colour" || word == "--color";
}

bool is_common_flag(std::string_view word) { return word == "--json" || word == "--help" || word == "-h" || word == "--version"; }

}  // namespace

std::string explain_usage(std::string_view what, const std::vector<std::string>& words, const std::set<std::string>& commands)
{
    std::string command, unknown;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view name = std::string_view(words[i]).substr(0, words[i].find('='));
        if (takes_a_value(name)) {
            if (name == words[i]) ++i;
        } else if (name.starts_with('-')) {
            if (command.empty() && unknown.empty() && !is_common_flag(name)) unknown = name;
        } else if (command.empty()) {
            command = words[i];
        } else {
            if (const std::string longer = command + " " + words[i]; commands.contains(longer)) command = longer;   // `deliveries resend`
            break;
        }
    }
    if (command.empty())
        return unknown.empty() ? std::string("a command is needed; `millwright --help` lists them") : fmt::format("there is no option '{}'; `millwright --help` lists options and commands", unknown);
    const std::string first = command.substr(0, command.find(' '));
    std::vector<std::string> names;
    for (const std::string& each : commands)
        if (const std::string name = each.substr(0, each.find(' ')); names.empty() || names.back() != name) names.push_back(name);
    if (std::find(names.begin(), names.end(), first) == names.end()) {
        const std::string near = nearest(first, names);
        return near.empty() ? fmt::format("there is no command '{}'; `millwright --help` lists them", first)
                            : fmt::format("there is no command '{}'; did you mean `millwright {}`?", first, near);
    }
    return fmt::format("{}; `millwright {} --help` shows how", what, command);
}

}  // namespace mill::cli
