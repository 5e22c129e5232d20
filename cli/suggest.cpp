#include "cli/suggest.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace mill::cli {

namespace {

std::size_t distance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t corner = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, corner + (a[i - 1] == b[j - 1] ? 0u : 1u)});
            corner = above;
        }
    }
    return row[b.size()];
}

bool takes_a_value(std::string_view word)
{
    return word == "--factory" || word == "--token-file" || word == "--ca" || word == "--config" || word == "--colour" || word == "--color";
}

}  // namespace

std::string nearest(std::string_view word, const std::set<std::string>& candidates)
{
    std::string best;
    std::size_t least = word.size() <= 3 ? 2 : 3;
    for (const std::string& candidate : candidates) {
        const std::size_t d = distance(word, candidate);
        if (d < least && d < candidate.size()) {
            least = d;
            best = candidate;
        }
    }
    return best;
}

std::string explain_usage(std::string_view what, const std::vector<std::string>& words, const std::set<std::string>& commands)
{
    std::string command;
    for (std::size_t i = 0; i < words.size() && command.empty(); ++i) {
        if (takes_a_value(words[i])) ++i;
        else if (!words[i].starts_with('-')) command = words[i];
    }
    if (command.empty()) return "a command is needed; `millwright --help` lists them";
    if (!commands.contains(command)) {
        const std::string near = nearest(command, commands);
        return near.empty() ? fmt::format("there is no command '{}'; `millwright --help` lists them", command)
                            : fmt::format("there is no command '{}'; did you mean `millwright {}`?", command, near);
    }
    return fmt::format("{}; `millwright {} --help` shows how", what, command);
}

}  // namespace mill::cli
