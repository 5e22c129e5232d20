// agent/companion/options.h -- the command line of millwright-companion.
#pragma once

#include <string>
#include <vector>

#include "platform/base/result.h"

namespace mill::companion {

struct Options {
    enum class Command { help, version, run } command = Command::run;
    std::string data;            ///< the agent's folder, absolute
    std::string config;          ///< empty: DATA/config.yaml
    bool with_agent = false;     ///< starts the agent, and ends it with the session
    bool autostart = false;      ///< started by the desktop: ends without a word where there is nothing to stand beside
};

/// Errors: invalid, naming the option.
Result<Options> parse_options(const std::vector<std::string>& arguments);
std::string help_text();

}  // namespace mill::companion
