#include "agent/companion_autostart.h"

#include <algorithm>

#include <fmt/format.h>

namespace mill::agent {
namespace {

constexpr std::string_view kAutostartMark = "# Written by `millwright-agent service install --user`; `millwright-agent service uninstall --user` removes it.\n";

/// One word of `Exec` (Desktop Entry Specification, "The Exec key"): quoted, and once more as every string of such a file.
Result<std::string> exec_word(const std::string& path)
{
    if (path.empty() || path.front() != '/') return fail(Errc::invalid, fmt::format("'{}' is no absolute path", path));
    if (std::any_of(path.begin(), path.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
        return fail(Errc::invalid, "a path with control characters cannot stand in an autostart file");
    std::string out = "\"";
    for (const char c : path) {
        if (c == '"' || c == '`' || c == '$') out += "\\\\";
        if (c == '\\') out += "\\\\\\";
        if (c == '%') out += '%';
        out += c;
    }
    return out + '"';
}

}  // namespace

Result<std::string> autostart_text(const AutostartPlaces& places)
{
    const auto program = exec_word(places.program), data = exec_word(places.data);
    if (!program) return fail(program.error());
    if (!data) return fail(data.error());
    std::string command = fmt::format("{} --autostart --data {}", *program, *data);
    if (!places.config.empty()) {
        const auto config = exec_word(places.config);
        if (!config) return fail(config.error());
        command += " --config " + *config;
    }
    if (places.with_agent) command += " --with-agent";
    return fmt::format("{}[Desktop Entry]\nType=Application\nName=Millwright\nComment=What runs here for you, and a key that stops it\nComment[de]=Was hier für Sie läuft, und eine Taste, die es anhält\n"
                       "Exec={}\nTerminal=false\nNoDisplay=true\nX-GNOME-Autostart-enabled=true\n", kAutostartMark, command);
}

bool is_autostart_of_ours(std::string_view text) { return text.starts_with(kAutostartMark); }

}  // namespace mill::agent
