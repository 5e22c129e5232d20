#include <algorithm>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/identity_answer.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "factory/resources/resource.h"
#include "platform/base/fields.h"
#include "platform/crypto.h"

namespace mill::factory::handler {
namespace {

void unknown_agent(const Call& call)
{
    reply_problem(call, 404, fmt::format("agent '{}' is not there; GET /v1/agents lists them", call["name"].substr(0, 120)), "unknown_agent");
}

}  // namespace

Json labels_of(Fields& fields, std::string_view key)
{
    Json labels = fields.object(key, Json::object());
    for (const auto& [name, value] : labels.as_object())
        if (!value.is_string() || value.as_string().size() > 200 || name.empty() || name.size() > 100)
            fields.mistake(key, fmt::format("has '{}': labels are NAME: text, at most 100 and 200 bytes", name.substr(0, 100)));
    return labels;
}

std::string user_of(Fields& fields)
{
    const std::string user = fields.text("user", "");
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
    const bool well = user.size() <= 100 && (user.empty() || letter(user.front())) &&
                      std::all_of(user.begin(), user.end(), [&](char c) { return letter(c) || c == '.' || c == '-' || c == '@' || c == '+'; });
    if (!well) fields.mistake("user", fmt::format("must be a person's name as in user:NAME, 1 to 100 letters, digits, '.', '_', '-', '@' and '+', such as anna; found '{}'", user.substr(0, 120)));
    return user;
}

Json environments_of(Fields& fields, std::string_view key)
{
    Json out = Json::array();
    const auto names = fields.texts(key);
    if (names.size() > 100) fields.mistake(key, "has more than 100 names");
    for (const std::string& name : names) {
        if (name != "*" && !is_name(name)) fields.mistake(key, fmt::format("has '{}', which is no name of an environment", name.substr(0, 100)));
        out.push(Json(name));
    }
    return out;
}

bool is_agent_name(std::string_view name)
{
    if (name.empty() || name.size() > 100 || name.front() == '-' || name == "invitations" || name == "requests") return false;
    for (const char c : name)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.')) return false;
    return true;
}

/// With the jobs that this caller may see.
static Json shown(Service& service, const Call& call, AgentRecord agent)
{
    if (!call.identity.everywhere()) {
        const auto reader = service.core.reader();
        std::erase_if(agent.holds, [&](const std::string& uid) { return !sees(call, place_of(*reader, About::job, uid, false)); });
    }
    return agent_json(agent);
}

void list_agents(Service& service, const CallPtr& call)
{
    auto agents = service.core.agents();
    if (!passed(*call, agents)) return;
    Json items = Json::array();
    for (const AgentRecord& each : *agents)
        if (sees(*call, place_of_agent(each, false))) items.push(shown(service, *call, each));
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

/// Approval for an environment is that environment's matter; for all of them, everybody's.
static void add_approvals(Place& place, const Json& names)
{
    for (const Json& each : names.as_array()) {
        if (each.as_string() == "*") place.of = Place::Of::everywhere;
        place.environments.push_back(each.as_string());
    }
}

static std::optional<AgentRecord> find_agent(Service& service, const std::string& name)
{
    const auto agents = service.core.agents();
    if (!agents) return std::nullopt;
    for (const AgentRecord& each : *agents)
        if (each.name == name || each.id == name) return each;
    return std::nullopt;
}

void get_agent(Service& service, const CallPtr& call)
{
    const auto agent = find_agent(service, (*call)["name"]);
    if (!agent) return unknown_agent(*call);
    reply(*call, 200, shown(service, *call, *agent));
}

/// Its user answers and starts in that person's name, wherever she may: a matter of the whole factory.
static bool may_say_whose(Service& service, const Call& call) { return permitted(service, call, Role::admin, Place{}, "saying whose an agent is, or the mode of somebody's agent"); }

void patch_agent(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "agent");
    AgentPatch patch;
    if (fields.has("mode")) patch.mode = protocol::parse_mode(fields.one_of("mode", {"attended", "unattended"}));
    if (fields.has("paused")) patch.paused = fields.boolean("paused");
    if (fields.has("approved")) patch.approved = fields.boolean("approved");
    if (fields.has("frozen")) patch.frozen = fields.boolean("frozen");
    if (fields.has("revoked")) patch.revoked = fields.boolean("revoked");
    if (json->contains("revoked") && !patch.revoked) fields.mistake("revoked", "can only be set: a revoked agent is enrolled again (`millwright agents invite --name NAME --take-over`)");
    if (fields.has("environment")) patch.environment = fields.text("environment");
    if (fields.has("approvedIn")) patch.approved_in = environments_of(fields, "approvedIn");
    if (fields.has("labels")) patch.labels = labels_of(fields, "labels");
    if (fields.has("user")) patch.user = user_of(fields);
    if (fields.has("sessions")) patch.sessions = fields.boolean("sessions");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    if (json->empty()) return reply_problem(*call, 400, "agent: nothing to change; known are mode, paused, approved, approvedIn, frozen, revoked, environment, labels, user, sessions");
    // Who may run what is trust; the rest is operation.
    const auto agent = find_agent(service, (*call)["name"]);
    if (!agent) return unknown_agent(*call);
    if (patch.approved || patch.approved_in || patch.frozen || patch.revoked || patch.environment || patch.labels) {
        Place place = place_of_agent(*agent, true);
        if (patch.environment) place.environments.push_back(*patch.environment);
        if (patch.approved_in) add_approvals(place, *patch.approved_in);
        if (!permitted(service, *call, Role::admin, place, "changing approval, freeze, revocation, environment or labels of an agent")) return;
    }
    // Unattended, its user is not asked any more: who says whose it is says that, too.
    if ((patch.user || patch.sessions || (patch.mode && !agent->user.empty())) && !may_say_whose(service, *call)) return;
    if (patch.sessions.value_or(false) && !agent->machine.empty())
        return reply_problem(*call, 409, fmt::format("agent '{}' is a person's own: people join through a machine's agent", agent->name));
    if (patch.environment && !service.core.reader()->document("Environment", *patch.environment) && *patch.environment != agent->environment)
        return reply_problem(*call, 409, fmt::format("environment '{}' is not there", *patch.environment));
    const bool ends_sessions = patch.frozen.value_or(false) || patch.revoked || (patch.user && *patch.user != agent->user);   // the next session tells it
    service.core.set_agent(agent->name, std::move(patch), call->who(), [&service, call, ends_sessions](const Result<AgentRecord>& changed) {
        if (!passed(*call, changed)) return;
        if (ends_sessions) service.sessions.end(changed->id);
        reply(*call, 200, agent_json(*changed));
    });
}

void delete_agent(Service& service, const CallPtr& call)
{
    const auto agent = find_agent(service, (*call)["name"]);
    if (!agent) return unknown_agent(*call);
    service.core.delete_agent(agent->name, call->who(), [&service, call, id = agent->id](const Result<Nothing>& done) {
        if (!passed(*call, done)) return;
        service.sessions.end(id);
        reply_empty(*call);
    });
}

void invite(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "invitation");
    const std::string environment = fields.text("environment", "default");
    const std::string pattern = fields.text("name", "*");
    const Json labels = labels_of(fields, "labels");
    const auto uses = fields.integer("uses", 1, 10'000, 1);
    const auto life = fields.integer("forMs", 1'000, 7LL * 86'400'000, 600'000);
    const bool approve = fields.boolean("approve", true);
    if (!is_name(environment)) fields.mistake("environment", fmt::format("'{}' is no name of an environment", environment.substr(0, 120)));
    if (pattern.empty() || pattern.size() > 200) fields.mistake("name", "must be a pattern of 1 to 200 characters");
    const Json approve_in = environments_of(fields, "approveIn");
    const bool take_over = fields.boolean("takeOver", false);
    std::string user = user_of(fields);
    const std::string mode = fields.has("mode") ? fields.one_of("mode", {"attended", "unattended"}) : std::string();
    if (take_over && (pattern.find_first_of("*?") != std::string::npos || uses != 1))
        fields.mistake("takeOver", "needs the one name that is taken over in 'name', without '*' or '?', and 'uses' of 1");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    Place place{Place::Of::all, {environment}};
    add_approvals(place, approve_in);
    if (!permitted(service, *call, Role::admin, place, fmt::format("inviting agents to environment '{}'", environment))) return;
    if (!user.empty() && !may_say_whose(service, *call)) return;
    // Whoever holds the name may be of another environment.
    if (take_over)
        if (const auto holder = find_agent(service, pattern); holder && !permitted(service, *call, Role::admin, place_of_agent(*holder, true), fmt::format("taking over agent '{}'", pattern))) return;
    // Who takes a name over gets its user only from somebody who may give it.
    if (const auto holder = take_over && user.empty() && call->identity.has(Role::admin, Place{}) ? find_agent(service, pattern) : std::nullopt) user = holder->user;
    const auto token = protocol::make_token("code");
    CodeRecord code;
    code.id = token.id;
    code.sha256 = platform::sha256(token.text);
    code.terms = Json::object({{"environment", Json(environment)}, {"name", Json(pattern)}, {"labels", labels}, {"approve", Json(approve)}});
    if (!approve_in.empty()) code.terms.set("approveIn", approve_in);
    if (take_over) code.terms.set("takeOver", true);
    if (!user.empty()) code.terms.set("user", user);
    if (!mode.empty()) code.terms.set("mode", mode);
    code.uses_left = static_cast<std::uint32_t>(uses);
    code.created = service.clock.now();
    code.expires = code.created + Milliseconds(life);
    code.created_by = call->who().name;
    service.core.put_code(std::move(code), call->who(), [call, text = token.text](const Result<CodeRecord>& stored) {
        if (!passed(*call, stored)) return;
        Json out = Json::object({{"code", Json(text)}});
        const Json about = code_json(*stored);
        for (const auto& [key, value] : about.as_object()) out.set(key, value);
        reply(*call, 201, out, {{"Cache-Control", "no-store"}});
    });
}

void list_invitations(Service& service, const CallPtr& call)
{
    auto codes = service.core.reader()->codes();
    if (!passed(*call, codes)) return;
    const WallTime now = service.clock.now();
    Json items = Json::array();
    for (const CodeRecord& each : *codes)
        if (each.expires > now && each.uses_left > 0 && sees_environment(*call, each.terms["environment"].as_string())) items.push(code_json(each));
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

}  // namespace mill::factory::handler
