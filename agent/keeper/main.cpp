// millwright-keeper: started by `millwright-agent run` and `millwright-agent once`, not by people.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "agent/keeper/keeper.h"
#include "platform/base/log.h"
#include "platform/files.h"

int main(int count, char** arguments)
{
    constexpr int kUsage = 64;
    constexpr const char* kHelp = "millwright-keeper: parent of the agent, the broker and every sandbox. Started by `millwright-agent run` and `millwright run`, not by people.\n"
                                  "usage: millwright-keeper --data DIR [--config FILE] [--silence SECONDS] | --once | --version\n"
                                  "--silence: an agent that is silent for so long is killed and started again; 60, at least 11\n";
    mill::platform::ServiceHost host(mill::platform::ServiceHost::Mode::polled);
    mill::keeper::Settings settings;
    settings.folder = mill::platform::program_folder();
    for (int i = 1; i < count; ++i) {
        const std::string_view word = arguments[i];
        const bool more = i + 1 < count;
        if (word == "--once") settings.once = true;
        else if (word == "--data" && more) settings.data = arguments[++i];
        else if (word == "--config" && more) settings.config = arguments[++i];
        else if (word == "--silence" && more) settings.silence = std::chrono::seconds(std::clamp(std::atoi(arguments[++i]), 11, 3600));
        else if (word == "--help" || word == "-h") return std::fputs(kHelp, stdout) < 0 ? 1 : 0;
        else if (word == "--version") return std::puts("millwright-keeper " MILL_VERSION) < 0 ? 1 : 0;
        else {
            std::fprintf(stderr, "millwright-keeper: '%s' is not understood\n%s", arguments[i], kHelp);
            return kUsage;
        }
    }
    if (settings.once == !settings.data.empty()) {
        std::fputs(kHelp, stderr);
        return kUsage;
    }
    mill::log::start("millwright-keeper");
    return mill::keeper::Keeper(settings, host).run();
}
