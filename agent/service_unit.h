// agent/service_unit.h -- the text of the agent's systemd unit, for the paths and the manager of one machine.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill::agent {

enum class ServiceScope {
    system,  ///< the machine's manager; the keeper starts as root
    user     ///< a person's own (systemctl --user)
};

struct UnitPlaces {
    ServiceScope scope = ServiceScope::system;
    std::string program;  ///< millwright-agent; absolute, as are all
    std::string data;
    std::string config;   ///< empty: DATA/config.yaml
};

/// packaging/systemd/millwright-agent.service and millwright.sysusers as they were when this was built.
std::string_view unit_source();
std::string_view users_source();

/// The unit that the package ships with these paths in it. A person's manager cannot give up what it never had, so its unit has none
/// of the hardening. What hides homes or /tmp is left out where the paths lie there. Errors: invalid (a path that no unit can hold).
Result<std::string> unit_text(const UnitPlaces& places);
/// The users that the agent needs, as systemd-sysusers reads them.
std::string users_text();

bool is_written_here(std::string_view unit);      ///< by unit_text, not by a person or a package
std::string data_of_unit(std::string_view unit);  ///< the data folder that it starts; empty: it says none

}  // namespace mill::agent
