#include "agent/service_unit.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace mill::agent {
namespace {

constexpr std::string_view kMark = "# Written by `millwright-agent service install`; `millwright-agent service uninstall` removes it.\n";
constexpr std::string_view kProgram = "/usr/bin/millwright-agent", kData = "/var/lib/millwright/agent";

/// What a person's manager can do.
constexpr std::array kOfUser{"Type", "NotifyAccess", "ExecCondition", "ExecStart", "ExecReload", "Restart", "RestartSec", "RestartPreventExitStatus",
                             "SuccessExitStatus", "KillMode", "TimeoutStopSec", "WatchdogSec", "OOMPolicy", "Delegate", "UMask", "Description", "Documentation"};

template <class Do>
void each_line(std::string_view text, const Do& act)
{
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        act(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
}

bool lies_below(const std::string& path, std::string_view folder)
{
    return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
}

bool any_below(const UnitPlaces& places, std::initializer_list<std::string_view> folders)
{
    return std::any_of(folders.begin(), folders.end(), [&](std::string_view folder) {
        return lies_below(places.program, folder) || lies_below(places.data, folder) || lies_below(places.config, folder);
    });
}

/// One word of a command line (systemd.service(5), "Command lines"). Errors: invalid.
Result<std::string> unit_word(const std::string& path)
{
    if (path.empty() || path.front() != '/') return fail(Errc::invalid, fmt::format("'{}' is no absolute path", path));
    if (std::any_of(path.begin(), path.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
        return fail(Errc::invalid, "a path with control characters cannot stand in a unit");
    std::string out;
    for (const char c : path) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '%' || c == '$') out += c;
        out += c;
    }
    const bool plain = path.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-%$") == std::string::npos;
    return plain ? out : '"' + out + '"';
}

std::string without_escapes(std::string_view word)
{
    std::string out;
    for (std::size_t i = 0; i < word.size(); ++i) {
        const char c = word[i];
        if ((c == '\\' || c == '%' || c == '$') && i + 1 < word.size()) ++i;
        out += word[i];
    }
    return out;
}

}  // namespace

Result<std::string> unit_text(const UnitPlaces& places)
{
    const auto program = unit_word(places.program), data = unit_word(places.data);
    if (!program) return fail(program.error());
    if (!data) return fail(data.error());
    const auto config = places.config.empty() ? Result<std::string>("") : unit_word(places.config);
    if (!config) return fail(config.error());
    if (places.program.find_first_of("$\"\\") != std::string::npos)
        return fail(Errc::invalid, fmt::format("a unit cannot start a program of the name '{}': move it", places.program));
    const bool user = places.scope == ServiceScope::user;
    const bool in_home = any_below(places, {"/home", "/root", "/run/user"}), in_tmp = any_below(places, {"/tmp", "/var/tmp"});
    std::string out(kMark);
    each_line(unit_source(), [&](std::string_view line) {
        const std::string key(line.substr(0, line.find('=')));
        const bool setting = !line.empty() && line.front() != '#' && line.front() != '[';
        if (user && !line.empty() && line.front() == '#') return;
        if (user && setting && key != "WantedBy" && std::find(kOfUser.begin(), kOfUser.end(), key) == kOfUser.end()) return;
        std::string whole(line);
        if (key.starts_with("Exec")) {
            const bool start = key == "ExecStart";
            const std::size_t equals = key.size() + 1;
            std::string words = whole.substr(equals);
            // The folder first: the program's new path may have its name in it.
            if (const std::size_t at = words.find(kData); at != std::string::npos) words = words.substr(0, at) + *data + words.substr(at + kData.size());
            if (words.starts_with(kProgram)) words = *program + words.substr(kProgram.size());
            whole = whole.substr(0, equals) + words;
            if (start && !config->empty()) whole += " --config " + *config;
        } else if ((key == "ProtectHome" && in_home) || (key == "PrivateTmp" && in_tmp)) {
            return;
        } else if (key == "WantedBy" && user) {
            whole = "WantedBy=default.target";
        }
        if (whole.empty() && out.ends_with("\n\n")) return;
        out += whole + '\n';
    });
    return out;
}

std::string users_text()
{
    std::string out;
    each_line(users_source(), [&](std::string_view line) {
        if (line.starts_with("u ") && line.find("millwright-factory") == std::string_view::npos) out += fmt::format("{}\n", line);
    });
    return out;
}

bool is_written_here(std::string_view unit) { return unit.starts_with(kMark); }

std::string data_of_unit(std::string_view unit)
{
    std::string out;
    each_line(unit, [&](std::string_view line) {
        constexpr std::string_view kOption = " --data ";
        const std::size_t at = line.find(kOption);
        if (!line.starts_with("ExecStart=") || at == std::string_view::npos) return;
        std::string_view word = line.substr(at + kOption.size());
        if (!word.starts_with('"')) {
            out = without_escapes(word.substr(0, word.find(' ')));
            return;
        }
        word.remove_prefix(1);
        std::size_t end = 0;
        while (end < word.size() && word[end] != '"') end += word[end] == '\\' ? 2 : 1;
        out = without_escapes(word.substr(0, std::min(end, word.size())));
    });
    return out;
}

}  // namespace mill::agent
