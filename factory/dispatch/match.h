// factory/dispatch/match.h -- whether an agent may run a job, what it lacks, and how to mend that. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "factory/dispatch/rules.h"

namespace mill::factory::dispatch {

struct Lack {
    std::string code;      ///< as WhyReason::code
    std::string text;      ///< "srv-1 is attended"
    std::string command;   ///< that mends it, or empty
};

/// The place of the agent in the environment's order of preference (0 first), when it belongs to it.
std::optional<int> preference(const Environment& environment, const AgentRecord& agent);

/// The same for these jobs: a canary's asks for no place in the environment.
std::optional<int> preference(const Needs& needs, const Environment& environment, const AgentRecord& agent);

/// It passes by itself: the person is away from the desktop.
bool is_passing(const Lack& lack);

/// All that lasting things (not presence, not slots) stand in the way. Empty: it fits. The state of a person's desktop is among them.
std::vector<Lack> lacks(const Needs& needs, const Environment& environment, const AgentRecord& agent);

}  // namespace mill::factory::dispatch
