// agent/companion_autostart.h -- the file that starts millwright-companion with a person's desktop session (XDG autostart).
#pragma once

#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill::agent {

struct AutostartPlaces {
    std::string program;       ///< millwright-companion; absolute, as are all
    std::string data;
    std::string config;        ///< empty: DATA/config.yaml
    bool with_agent = false;   ///< no systemd of the person's own starts the agent
};

/// Errors: invalid (a path that no such file can hold).
Result<std::string> autostart_text(const AutostartPlaces& places);
bool is_autostart_of_ours(std::string_view text);   ///< written by autostart_text, not by a person or a package

}  // namespace mill::agent
