#include "agent/companion/options.h"

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "platform/files.h"

namespace mill::companion {
namespace {

std::string whole_path(const std::string& path)
{
    std::error_code error;
    const auto whole = std::filesystem::absolute(path, error);
    return path.empty() || error ? path : whole.lexically_normal().string();
}

std::string usual_data()
{
    const char* share = std::getenv("XDG_DATA_HOME");
    return (share == nullptr || *share == '\0' ? platform::home_folder() + "/.local/share" : std::string(share)) + "/millwright/agent";
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments)
{
    Options out;
    bool data = false, config = false;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        const std::size_t equals = word.find('=');
        const std::string key = word.substr(0, equals);
        if (word == "--help" || word == "-h" || word == "help") return Options{Options::Command::help, "", "", false, false};
        if (word == "--version" || word == "version") return Options{Options::Command::version, "", "", false, false};
        if (word == "--with-agent") out.with_agent = true;
        else if (word == "--autostart") out.autostart = true;
        else if (key == "--data" || key == "--config") {
            bool& said = key == "--data" ? data : config;
            if (said) return fail(Errc::invalid, key + " is said twice");
            said = true;
            if (equals == word.npos && i + 1 == arguments.size()) return fail(Errc::invalid, key + " needs a value");
            const std::string value = equals == word.npos ? arguments[++i] : word.substr(equals + 1);
            if (value.empty()) return fail(Errc::invalid, key + " is empty");
            (key == "--data" ? out.data : out.config) = whole_path(value);
        } else {
            return fail(Errc::invalid, fmt::format("unknown option '{}'", word.substr(0, 100)));
        }
    }
    if (!data) out.data = usual_data();
    return out;
}

std::string help_text()
{
    return R"(millwright-companion stands beside the person in a desktop session: notices with buttons, an icon with a menu, a key that stops
everything, and the page that millwright-agent open opens.

  millwright-companion [--data DIR] [--config FILE] [--with-agent] [--autostart]
      Runs until the session ends or SIGTERM. One for each agent's folder; a second one says so and ends.
      --data DIR      the agent's folder (~/.local/share/millwright/agent)
      --config FILE   the agent's settings instead of DIR/config.yaml; of these it reads stopKey alone
      --with-agent    starts the agent, too, where none runs, and ends it with the session: for desktops without systemd --user
      --autostart     started by the desktop: ends at once where no attended agent is enrolled in DIR
  millwright-companion --version

It holds no key and talks to nobody but the agent (DIR/person), this desktop and this machine's browser. Jobs go on without it.
In a terminal, also over ssh: millwright-agent attend --data DIR

Settings (DIR/config.yaml): stopKey: Ctrl+Alt+Pause, another combination, or none.

Exit status: 0 ended, or another one runs already; 1 a bug, 64 usage, 78 bad configuration, or there is no desktop here.
)";
}

}  // namespace mill::companion
