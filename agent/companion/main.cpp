#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "agent/companion/companion.h"
#include "agent/companion/options.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"
#include "protocol/version.h"

namespace {

constexpr int kBug = 1, kUsage = 64;

int run(const std::vector<std::string>& arguments)
{
    using mill::companion::Options;
    const auto options = mill::companion::parse_options(arguments);
    if (!options) {
        std::fprintf(stderr, "millwright-companion: %s (millwright-companion --help shows how)\n", options.error().what.c_str());
        return kUsage;
    }
    switch (options->command) {
    case Options::Command::help: std::fputs(mill::companion::help_text().c_str(), stdout); return 0;
    case Options::Command::version: std::printf("millwright-companion %s\n", std::string(mill::protocol::kProgramVersion).c_str()); return 0;
    case Options::Command::run: return mill::companion::run_companion(*options);
    }
    return kBug;
}

}  // namespace

int main(int argc, char** argv)
{
    try {
        mill::log::start("millwright-companion");
        return run({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "millwright-companion: a bug: %s\n", mill::redacted(error.what()).c_str());
        return kBug;
    }
}
