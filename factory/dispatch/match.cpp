#include "factory/dispatch/match.h"

#include <fmt/format.h>

namespace mill::factory::dispatch {

using protocol::AgentMode;

std::optional<int> preference(const Environment& environment, const AgentRecord& agent)
{
    if (!environment.user.empty() && agent.user != environment.user) return std::nullopt;
    if (environment.members.empty()) {
        if (!environment.user.empty()) return 0;
        if (agent.environment == environment.name) return 0;
        return std::nullopt;
    }
    for (std::size_t i = 0; i < environment.members.size(); ++i)
        if (has_member(environment.members[i], agent)) return static_cast<int>(i);
    return std::nullopt;
}

std::optional<int> preference(const Needs& needs, const Environment& environment, const AgentRecord& agent)
{
    if (needs.bound && needs.bound->agent != agent.id) return std::nullopt;
    if (!needs.group.empty()) {
        if (!preference(environment, agent)) return std::nullopt;
        for (std::size_t i = 0; i < environment.members.size(); ++i)
            if (is_in_group(environment.members[i], needs.group) && has_member(environment.members[i], agent)) return static_cast<int>(i);
        return std::nullopt;
    }
    if (!needs.agent.empty() && needs.agent != agent.name) return std::nullopt;
    return needs.is_canary() ? std::optional<int>(0) : preference(environment, agent);
}

namespace {

/// The first member line that names the agent and whose groups' facts it has; else what it lacks for the first one.
std::vector<std::string> group_lacks(const Environment& environment, const AgentRecord& agent)
{
    std::vector<std::string> first;
    for (const Member& member : environment.members) {
        if (!has_member(member, agent)) continue;
        std::vector<std::string> missing;
        for (const Json& wanted : member.requires_)
            for (std::string& text : missing_facts(wanted, agent)) missing.push_back(std::move(text));
        if (missing.empty()) return {};
        if (first.empty()) first = std::move(missing);
    }
    return first;
}

}  // namespace

namespace {

/// As the agent found when it started (fact `credentials`; "*": there may be more).
bool holds(const AgentRecord& agent, const std::string& credential)
{
    for (const Json& name : agent.facts["credentials"].as_array())
        if (name.as_string() == credential || name.as_string() == "*") return true;
    return false;
}

}  // namespace

namespace {

bool approved_for(const AgentRecord& agent, const std::string& environment)
{
    if (!agent.approved_in.is_array()) return true;
    for (const Json& name : agent.approved_in.as_array())
        if (name.as_string() == environment || name.as_string() == "*") return true;
    return false;
}

/// The command that adds one; the list is set all together.
std::string approve_in(const AgentRecord& agent, const std::string& environment)
{
    std::string command = fmt::format("millwright agents set {}", agent.name);
    if (agent.approved)
        for (const Json& name : agent.approved_in.as_array()) command += fmt::format(" --approve-in {}", name.as_string());
    return command + fmt::format(" --approve-in {}", environment);
}

}  // namespace

namespace {

/// What keeps the agent's user from being asked, or from seeing what runs. An agent that says nothing of its desktop is taken as before.
void session_lacks(const Needs& needs, const AgentRecord& agent, std::vector<Lack>& out)
{
    if (agent.mode != AgentMode::attended || agent.user.empty() || needs.is_canary()) return;
    const Json& session = agent.facts["session"];
    const std::string& state = session["state"].as_string();
    if (state == "none") out.push_back({"session_none", fmt::format("{} is not logged in at {}", agent.user, agent.name), ""});
    if (state == "other_user") {
        const std::string& there = session["user"].as_string();
        out.push_back({"session_other_user", fmt::format("{} is at the desktop of {}, not {}", there.empty() || there == agent.user ? std::string("somebody else") : there, agent.name, agent.user), ""});
    }
    if (needs.is_own()) return;   // who started it there need not be asked
    if (state == "locked") out.push_back({"session_locked", fmt::format("{}'s screen is locked at {}: {} is asked when it is not", agent.user, agent.name, agent.user), ""});
    if (state == "presentation") out.push_back({"session_presentation", fmt::format("{} is in a presentation at {}: {} is asked when it is over", agent.user, agent.name, agent.user), ""});
}

}  // namespace

bool is_passing(const Lack& lack) { return lack.code.starts_with("session_"); }

std::vector<Lack> lacks(const Needs& needs, const Environment& environment, const AgentRecord& agent)
{
    std::vector<Lack> out;
    if (!needs.agent.empty() && needs.agent != agent.name) out.push_back({"other_agent", fmt::format("the job is for {} alone", needs.agent), ""});
    else if (needs.bound && needs.bound->agent != agent.id) out.push_back({"other_agent", fmt::format("the job is bound to {}, where {} started it", needs.bound->name, needs.bound->user), ""});
    else if (needs.bound && needs.bound->user != agent.user) out.push_back({"other_agent", fmt::format("{} is not the agent of {} any more, who started the job there", agent.name, needs.bound->user), ""});
    else if (!needs.is_canary() && !environment.user.empty() && agent.user != environment.user)
        out.push_back({"private_environment", fmt::format("{} is not the agent of {}, whose own environment '{}' is (access: private)", agent.name, environment.user, environment.name),
                       agent.environment == environment.name ? fmt::format("millwright agents set {} --user {}", agent.name, environment.user) : ""});
    else if (!needs.group.empty() && !preference(needs, environment, agent) && preference(environment, agent))
        out.push_back({"not_in_group", fmt::format("{} is not in group '{}', which tries this version before the others", agent.name, needs.group), ""});
    else if (!preference(needs, environment, agent))
        out.push_back({"not_in_environment",
                       fmt::format("{} is not in environment '{}' (it was enrolled in '{}')", agent.name, environment.name, agent.environment),
                       environment.members.empty() ? fmt::format("millwright agents set {} --environment {}", agent.name, environment.name) : ""});
    if (!agent.approved)
        out.push_back({"agent_not_approved", fmt::format("{} is not approved", agent.name),
                       agent.environment == environment.name ? fmt::format("millwright agents set {} --approve", agent.name) : approve_in(agent, environment.name)});
    else if (!approved_for(agent, environment.name))
        out.push_back({"agent_not_approved", fmt::format("{} is not approved for environment '{}'", agent.name, environment.name), approve_in(agent, environment.name)});
    if (agent.public_key.empty())
        out.push_back({"agent_revoked", fmt::format("{} was revoked: it has to be enrolled again", agent.name),
                       fmt::format("millwright agents invite --name {} --take-over", agent.name)});
    if (agent.frozen)
        out.push_back({"agent_frozen", fmt::format("{} is frozen because its key was used twice", agent.name),
                       fmt::format("millwright agents set {} --unfreeze", agent.name)});
    if (agent.paused)
        out.push_back({"agent_paused", fmt::format("{} is paused", agent.name), fmt::format("millwright agents set {} --resume", agent.name)});
    if (needs.run_on == RunOn::unattended && agent.mode == AgentMode::attended)
        out.push_back({"agent_attended", fmt::format("{} is attended", agent.name), fmt::format("millwright agents set {} --mode unattended", agent.name)});
    if (needs.run_on == RunOn::attended && agent.mode == AgentMode::unattended)
        out.push_back({"agent_unattended", fmt::format("{} is unattended", agent.name), fmt::format("millwright agents set {} --mode attended", agent.name)});
    std::string command = fmt::format("millwright agents set {}", agent.name);   // labels are set all together
    for (const auto& [label, value] : agent.labels.as_object())
        if (!needs.labels.contains(label)) command += fmt::format(" --label {}={}", label, value.is_string() ? value.as_string() : dump_json(value));
    for (const auto& [label, value] : needs.labels) command += fmt::format(" --label {}={}", label, value);
    for (const auto& [label, value] : needs.labels)
        if (!has_member({fmt::format("label:{}={}", label, value), {}, {}}, agent))
            out.push_back({"missing_label", fmt::format("{} lacks label {}={}", agent.name, label, value), command});
    for (const std::string& credential : needs.machine_credentials)
        if (!holds(agent, credential))
            out.push_back({"missing_credential",
                           fmt::format("{0} does not hold credential '{1}' (held: machine): put {1}.yaml into the folder 'credentials' of its agent's data, see "
                                       "`millwright-agent credentials check` there, and start that agent again", agent.name, credential), ""});
    for (const std::string& text : missing_facts(needs.facts, agent)) out.push_back({"missing_fact", fmt::format("{} {}", agent.name, text), ""});
    if (!environment.run_as.empty() && agent.facts["isolation"]["uid"].as_string() == "shared")
        out.push_back({"missing_fact", fmt::format("{} was not started as root, so it cannot run jobs as '{}', which environment '{}' asks for", agent.name,
                                                   environment.run_as, environment.name), ""});
    session_lacks(needs, agent, out);
    for (const std::string& text : group_lacks(environment, agent)) out.push_back({"missing_fact", fmt::format("{} {}", agent.name, text), ""});
    return out;
}

}  // namespace mill::factory::dispatch
