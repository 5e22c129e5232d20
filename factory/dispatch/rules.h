// factory/dispatch/rules.h -- what a job needs and who belongs to an environment, read once from the documents.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "factory/store/records.h"

namespace mill::factory::dispatch {

enum class RunOn { unattended, attended, any };

/// What the jobs of one binding need of an agent.
struct Needs {
    std::string trigger, environment;
    RunOn run_on = RunOn::unattended;
    std::map<std::string, std::string> labels;
    Json facts;                      ///< `requires:` of the package without labels
    std::vector<std::string> machine_credentials;  ///< names of those that the agent's machine has to hold
    std::uint32_t concurrency = 0;   ///< of the trigger; 0: no limit
    std::vector<std::string> locks;  ///< of the environment, that a job of these holds from its assignment to its end
    std::optional<Milliseconds> offline_limit;
    std::string group;               ///< of the environment, whose agents alone may run it; empty: any
    std::string agent;               ///< name of the only one that may run it, in whatever environments it is; empty: any that fits
    /// Started by a person at their own agent: that one alone runs it. `pushed`: somebody else wants it there again, so the person is asked as for any other.
    struct Bound {
        std::string agent, name, user;   ///< id and name; whose it was
        bool pushed = false;
    };
    std::optional<Bound> bound;
    bool canary = false;
    bool is_own() const { return canary || (bound && !bound->pushed); }   ///< nobody's consent is needed
};
/// `rules`: {runOn, requires, labels, machineCredentials, concurrency, locks, offlineLimit, group, agent (of a canary) or pinned (its name), bound}. What cannot be read asks for nothing: it was validated when saved.
Needs read_needs(std::string trigger, std::string environment, const Json& rules);

/// One line of an environment's tree, in the order of preference: groups before the agents beside them.
struct Member {
    std::string pattern;         ///< "srv-*", "label:K=V", "user:anna"
    std::string group;           ///< empty: of the environment itself
    std::vector<Json> requires_; ///< of the groups around it
};

struct Environment {
    std::string name;
    bool documented = false;       ///< an Environment document exists
    std::vector<Member> members;   ///< empty: the agents that were enrolled in it; of a private one those of its user
    std::string user = {};         ///< whose own it is (`access: private`); empty: shared
    std::string run_as = {};       ///< user of the machines that its jobs run as; empty: each agent's usual one
    std::map<std::string, std::uint32_t, std::less<>> locks = {};   ///< how many jobs hold one at a time; those not named: one
};
Environment read_environment(std::string name, const Json& spec);

bool has_member(const Member& member, const AgentRecord& agent);
/// The line stands in the group of that name ("night-shift", or with those around it "berlin/night-shift"), or in one within it.
bool is_in_group(const Member& member, std::string_view group);

/// What of `wanted` ({os, programs, labels, millwright, any fact}) the facts do not give, as words behind an agent's name:
/// "has no program 'python3'". Empty: nothing is missing.
std::vector<std::string> missing_facts(const Json& wanted, const AgentRecord& agent);

}  // namespace mill::factory::dispatch
