#include "cli/suggest.h"

#include <fmt/format.h>

#include "platform/base/nearest.h"

namespace mill::cli {

namespace {

bool takes_a_value(std::string_view word)
{
    return word == "--factory" || word == "--token-file" || word == "--ca" || word == "--config" || word == "--colour" || word == "--color";
}

}  // namespace

std::string explain_usage(std::string_view what, const std::vector<std::string>& words, const std::set<std::string>& commands)
{
    std::string command;
    for (std::size_t i = 0; i < words.size() && command.empty(); ++i) {
        if (takes_a_value(words[i])) ++i;
        else if (!words[i].starts_with('-')) command = words[i];
    }
    if (command.empty()) return "a command is needed; `millwright --help` lists them";
    if (!commands.contains(command)) {
        const std::string near = nearest(command, {commands.begin(), commands.end()});
        return near.empty() ? fmt::format("there is no command '{}'; `millwright --help` lists them", command)
                            : fmt::format("there is no command '{}'; did you mean `millwright {}`?", command, near);
    }
    return fmt::format("{}; `millwright {} --help` shows how", what, command);
}

}  // namespace mill::cli
