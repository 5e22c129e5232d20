#include "factory/api/approvers.h"

#include <algorithm>

#include <fmt/format.h>

#include "factory/agents/tokens.h"

namespace mill::factory {
namespace {

bool in_chat(const Json& by)
{
    return std::any_of(by.as_array().begin(), by.as_array().end(), [](const Json& one) { return one.as_string() == "conversation" || one.as_string().starts_with("chat:"); });
}

/// Names of the people whose tokens or agents are among `by` for something in `environment`, each once.
std::vector<std::string> approvers(Reader& reader, const Json& by, const std::string& environment)
{
    std::vector<std::string> out;
    for (const std::string_view kind : {"admin", "user"}) {
        const auto tokens = reader.tokens(kind, "");
        if (!tokens) continue;
        for (const TokenRecord& token : *tokens) {
            const Identity identity = identity_of(token);
            if (identity.role < Role::viewer) continue;
            const auto names = names_of(identity, environment);
            const bool may = std::any_of(by.as_array().begin(), by.as_array().end(), [&](const Json& one) { return std::find(names.begin(), names.end(), one.as_string()) != names.end(); });
            const std::string who = identity.who("").name;
            if (may && std::find(out.begin(), out.end(), who) == out.end()) out.push_back(who);
        }
    }
    if (const auto agents = reader.agents())   // at her desktop nobody needs a token
        for (const AgentRecord& agent : *agents) {
            const bool may = !agent.user.empty() && !vouched_elsewhere(agent, environment) && std::any_of(by.as_array().begin(), by.as_array().end(), [&](const Json& one) { return one.as_string() == "user:" + agent.user; });
            if (std::string who = "user " + agent.user; may && std::find(out.begin(), out.end(), who) == out.end()) out.push_back(std::move(who));
        }
    return out;
}

}  // namespace

std::string environment_of_trigger(Reader& reader, const Json& trigger)
{
    const auto deployment = reader.document("Deployment", trigger["deployment"].as_string());
    return deployment ? deployment->spec["environment"].as_string() : std::string();
}

Json approval_preview(Reader& reader, const Json& trigger)
{
    const Json& approval = trigger["approval"];
    if (!approval.is_object()) return {};
    Json could = Json::array();
    for (const std::string& name : approvers(reader, approval["by"], environment_of_trigger(reader, trigger))) could.push(Json(name));
    return Json::object({{"by", Json(who_words(approval["by"]))}, {"within", approval["within"]}, {"could", std::move(could)}});
}

std::string nobody_approves(Reader& reader, const Json& trigger)
{
    const Json& approval = trigger["approval"];
    if (!approval.is_object() || in_chat(approval["by"]) || !approvers(reader, approval["by"], environment_of_trigger(reader, trigger)).empty()) return {};
    return fmt::format("nobody could approve the jobs of trigger '{}': there is no token of {}, and they would expire after {} (`millwright tokens create NAME --role ROLE`)",
                       trigger["name"].as_string(), who_words(approval["by"]), approval["within"].as_string());
}

bool vouched_elsewhere(const AgentRecord& agent, const std::string& environment) { return !agent.machine.empty() && agent.environment != environment; }

std::vector<std::string> names_of_user(Reader& reader, const AgentRecord& agent, const std::string& environment, WallTime now)
{
    std::vector<std::string> names{"user:" + agent.user};
    if (vouched_elsewhere(agent, environment)) return names;
    for (const std::string_view kind : {"admin", "user"})
        if (const auto tokens = reader.tokens(kind, agent.user))
            for (const TokenRecord& token : *tokens) {
                if (token.expires && *token.expires <= now) continue;
                for (std::string& name : names_of(identity_of(token), environment))
                    if (name.starts_with("role:")) names.push_back(std::move(name));   // a token itself is not at the desktop
            }
    return names;
}

bool assigned_to(Reader& reader, const Json& trigger, const std::string& user)
{
    std::vector<std::string> names{"user:" + user};
    for (const std::string_view kind : {"admin", "user"})
        if (const auto tokens = reader.tokens(kind, user))
            for (const TokenRecord& token : *tokens)
                for (std::string& name : names_of(identity_of(token), environment_of_trigger(reader, trigger))) names.push_back(std::move(name));
    const auto& assigned = trigger["assignedTo"].as_array();
    return std::any_of(assigned.begin(), assigned.end(), [&](const Json& one) { return std::find(names.begin(), names.end(), one.as_string()) != names.end(); });
}

std::vector<WhyReason> approval_problems(Reader& reader, const std::string& deployment)
{
    std::vector<WhyReason> out;
    const auto triggers = reader.documents("Trigger");
    if (!triggers) return out;
    for (const Document& trigger : *triggers)
        if (trigger.spec["deployment"].as_string() == deployment)
            if (std::string problem = nobody_approves(reader, trigger.spec); !problem.empty()) out.push_back({"no_approver", trigger.name, std::move(problem), ""});
    return out;
}

}  // namespace mill::factory
