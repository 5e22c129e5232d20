#include "factory/api/rights.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "factory/api/service.h"

namespace mill::factory {
namespace {

struct Row {
    std::string_view pattern;
    Right right;
};

// The role stands in the route's own line (routes.cpp). A deeper line wins.
constexpr std::array kRights = std::to_array<Row>({
    {"/v1/apply", {Area::resources, About::list}},                       // each document by itself
    {"/v1/calendars", {Area::resources, About::shared}},
    {"/v1/environments", {Area::resources, About::list}},
    {"/v1/environments/{name}", {Area::resources, About::environment}},
    {"/v1/environments/{name}/key", {Area::access, About::environment}},
    {"/v1/holds", {Area::resources, About::list}},
    {"/v1/publishers", {Area::resources, About::shared}},
    {"/v1/publishers/{name}", {Area::resources, About::factory}},        // whose packages count says who may say all
    {"/v1/deployments", {Area::resources, About::list}},
    {"/v1/deployments/{name}", {Area::resources, About::deployment}},
    {"/v1/triggers", {Area::resources, About::list}},
    {"/v1/triggers/{name}", {Area::resources, About::trigger}},
    {"/v1/triggers/{name}/token", {Area::access, About::trigger}},
    {"/v1/triggers/{name}/tokens", {Area::access, About::trigger}},
    {"/v1/triggers/{name}/runs", {Area::runs, About::trigger}},
    {"/v1/notifiers", {Area::resources, About::list}},
    {"/v1/notifiers/{name}", {Area::resources, About::notifier}},
    {"/v1/packages", {Area::packages, About::list}},                     // a version that is published changes nothing until somebody deploys it
    {"/v1/packages/{name}/{version}/state", {Area::packages, About::factory}},
    {"/v1/credentials", {Area::credentials, About::list}},
    {"/v1/credentials/{name}", {Area::credentials, About::credential}},
    {"/v1/tokens", {Area::access, About::list}},                         // nobody gives or ends more than they have
    {"/v1/jobs", {Area::jobs, About::list}},
    {"/v1/jobs/{uid}", {Area::jobs, About::job}},
    {"/v1/jobs/{uid}/deliveries", {Area::deliveries, About::job}},
    {"/v1/locks", {Area::jobs, About::list}},
    {"/v1/why", {Area::jobs, About::list}},
    {"/v1/deliveries", {Area::deliveries, About::list}},
    {"/v1/deliveries/{id}", {Area::deliveries, About::delivery}},
    {"/v1/agents", {Area::agents, About::list}},
    {"/v1/agents/invitations", {Area::agents, About::list}},
    {"/v1/agents/requests", {Area::agents, About::factory}},
    {"/v1/agents/{name}", {Area::agents, About::agent}},
    {"/v1/events", {Area::events, About::list}},
    {"/v1/audit", {Area::audit, About::factory}},
    {"/v1/questions", {Area::questions, About::list}},                   // each question says itself who may answer
    {"/v1/questions/{id}", {Area::questions, About::list}},
    {"/v1/metrics", {Area::metrics, About::factory}},
    {"/v1/retention", {Area::resources, About::factory}},
    {"/v1/can", {Area::access, About::list}},
});

Place in_environment(std::string_view name)
{
    if (name.empty()) return {Place::Of::anywhere, {}};   // it refers to nothing that is there
    return {Place::Of::all, {std::string(name)}};
}

constexpr std::size_t kNames = 5;

Json texts(const std::vector<std::string>& list)
{
    Json out = Json::array();
    for (const std::string& each : list) out.push(Json(each));
    return out;
}

void refuse(Service& service, const Call& call, const Missing& missing, std::string_view action)
{
    const Json givers = who_can_give(*service.core.reader(), missing.place, service.clock.now());
    std::string names;
    for (const Json& each : givers.as_array()) names += (names.empty() ? "" : ", ") + each.as_string();
    ++service.refused;
    reply_problem(call, 403, fmt::format("{} needs {}; {} can give it", action, missing.text, names.empty() ? std::string("an administrator of the factory") : names), "forbidden",
                  Json::object({{"needs", missing.needs}, {"ask", givers}}));
}

std::string held(const Identity& identity)
{
    if (identity.kind == "trigger") return fmt::format("this token only starts trigger '{}' and reads the jobs that it started", identity.subject);
    if (identity.kind == "env") return fmt::format("this key only starts the triggers of environment '{}'", identity.subject);
    return fmt::format("this token ({}) has the role {}{}", identity.id, name(identity.role), identity.everywhere() ? "" : " " + Place{Place::Of::all, identity.environments}.words());
}

Role role_of(Access access)
{
    switch (access) {
    case Access::viewer: return Role::viewer;
    case Access::operate: return Role::operate;
    case Access::developer: return Role::developer;
    case Access::admin: return Role::admin;
    default: return Role::none;
    }
}

}  // namespace

std::string thing_of(const std::map<std::string, std::string, std::less<>>& path, const Route& route)
{
    const auto open = route.pattern.find('{');
    if (open == std::string_view::npos) return {};
    const auto found = path.find(route.pattern.substr(open + 1, route.pattern.find('}') - open - 1));
    return found == path.end() ? std::string() : found->second;
}

Right right_of(const Route& route)
{
    const Row* best = nullptr;
    for (const Row& row : kRights) {
        const bool begins = route.pattern.starts_with(row.pattern) && (route.pattern.size() == row.pattern.size() || route.pattern[row.pattern.size()] == '/');
        if (begins && (best == nullptr || row.pattern.size() > best->pattern.size())) best = &row;
    }
    return best != nullptr ? best->right : Right{};
}

SpecOf specs_in(Reader& reader)
{
    return [&reader](std::string_view kind, std::string_view name) {
        auto document = reader.document(kind, name);
        return document ? std::move(document->spec) : Json();
    };
}

Place place_of_document(const SpecOf& spec_of, std::string_view kind, std::string_view name, const Json& spec)
{
    if (kind == "Environment") return in_environment(name);
    if (kind == "Deployment") return in_environment(spec["environment"].as_string());
    if (kind == "Trigger") return in_environment(spec_of("Deployment", spec["deployment"].as_string())["environment"].as_string());
    if (kind == "Notifier") {
        if (const auto& environment = spec["environment"].as_string(); !environment.empty()) return in_environment(environment);
        if (const auto& deployment = spec["deployment"].as_string(); !deployment.empty()) return in_environment(spec_of("Deployment", deployment)["environment"].as_string());
        if (const auto& trigger = spec["trigger"].as_string(); !trigger.empty()) return place_of_document(spec_of, "Trigger", trigger, spec_of("Trigger", trigger));
    }
    return {};   // calendars, and notifiers that hear of agents, deliveries, credentials
}

Place place_of_agent(const AgentRecord& agent, bool change)
{
    Place out{change ? Place::Of::all : Place::Of::any, {agent.environment}};
    if (change) return out;
    if (agent.approved_in.is_null()) return {Place::Of::anywhere, {}};
    for (const Json& each : agent.approved_in.as_array()) {
        if (each.as_string() == "*") return {Place::Of::anywhere, {}};
        if (each.as_string() != agent.environment) out.environments.push_back(each.as_string());
    }
    return out;
}

Place place_of_job(const JobRecord& job) { return in_environment(job.environment); }

Place place_of(Reader& reader, About about, const std::string& name, bool change)
{
    const Place gone{Place::Of::anywhere, {}};
    const auto document = [&](std::string_view kind) {
        const auto stored = reader.document(kind, name);
        return stored ? place_of_document(specs_in(reader), kind, name, stored->spec) : gone;
    };
    switch (about) {
    case About::factory: return {};
    case About::shared: return change ? Place{} : gone;
    case About::list: return gone;
    case About::environment: return in_environment(name);
    case About::deployment: return document("Deployment");
    case About::trigger: return document("Trigger");
    case About::notifier: return document("Notifier");
    case About::job: {
        const auto job = reader.job(name);
        return job ? place_of_job(*job) : gone;
    }
    case About::delivery: {
        const auto delivery = reader.delivery(name);
        if (!delivery) return gone;
        if (const auto job = reader.job(delivery->job); job) return place_of_job(*job);
        const auto notifier = reader.document("Notifier", delivery->notifier);
        return notifier ? place_of_document(specs_in(reader), "Notifier", delivery->notifier, notifier->spec) : Place{};
    }
    case About::agent: {
        auto agent = reader.agent_by_name(name);
        if (!agent) agent = reader.agent(name);
        return agent ? place_of_agent(*agent, change) : gone;
    }
    case About::credential: {
        const auto credential = reader.credential(name);
        if (!credential) return change ? Place{Place::Of::anywhere, {}} : gone;
        const auto& environment = credential->about["environment"].as_string();
        if (environment.empty()) return change ? Place{} : gone;
        return in_environment(environment);
    }
    }
    return {};
}

namespace {

/// Where a document makes jobs, its user's own environment is hers to say.
bool permitted_in_its_private(Service& service, const Call& call, std::string_view kind, const Place& place, std::string_view action)
{
    if (kind != "Trigger" && kind != "Deployment" && kind != "Environment") return true;
    return std::all_of(place.environments.begin(), place.environments.end(), [&](const std::string& one) { return permitted_in_private(service, call, call.identity, one, action); });
}

}  // namespace

bool may_change(Service& service, const Call& call, Reader& reader, const Document& document, std::string_view action)
{
    return permitted_in_its_private(service, call, document.kind, place_of_document(specs_in(reader), document.kind, document.name, document.spec), action);
}

bool may_delete(Service& service, const Call& call, Reader& reader, const Document& document)
{
    if (!may_change(service, call, reader, document, fmt::format("deleting {} '{}'", document.kind, document.name))) return false;
    const bool guarded = document.kind == "Publisher" || (document.kind == "Environment" && !document.spec["requireSigned"].empty());
    return permitted(service, call, guarded ? Role::admin : Role::developer, guarded ? Place{} : place_of_document(specs_in(reader), document.kind, document.name, document.spec),
                     fmt::format("deleting {} '{}'", document.kind, document.name));
}

bool may_hear(Service& service, const Call& call, const SpecOf& spec_of, const Json& trigger)
{
    const Json& job = trigger["event"]["job"];
    for (const auto& [kind, member] : {std::pair{"Trigger", "trigger"}, {"Deployment", "deployment"}}) {
        const std::string& name = job[member].as_string();
        if (!name.empty() && !permitted(service, call, Role::viewer, place_of_document(spec_of, kind, name, spec_of(kind, name)), fmt::format("hearing of the ends of {} '{}'", kind, name)))
            return false;
    }
    return true;
}

Json who_can_give(Reader& reader, const Place& place, WallTime now)
{
    std::vector<std::string> names;
    for (const char* kind : {"admin", "user"}) {
        const auto tokens = reader.tokens(kind, "");
        if (!tokens) continue;
        for (const TokenRecord& each : *tokens) {
            if (names.size() >= kNames || (each.expires && *each.expires <= now)) continue;
            const Identity identity = identity_of(each);
            if (identity.scopes.has(Area::access, true) && identity.has(Role::admin, place) && std::find(names.begin(), names.end(), each.subject) == names.end()) names.push_back(each.subject);
        }
    }
    return texts(names);
}

namespace {

std::optional<Missing> missing_role(const Identity& identity, Role role, const Place& place)
{
    if (identity.has(role, place)) return std::nullopt;
    Json needs = Json::object({{"role", Json(name(role))}});
    if (place.environments.size() == 1) needs.set("environment", Json(place.environments.front()));
    else if (!place.environments.empty()) needs.set("environments", texts(place.environments));
    else if (place.of == Place::Of::everywhere) needs.set("environment", "*");
    const bool here = place.of == Place::Of::anywhere || identity.everywhere();
    return Missing{fmt::format("the role {}{}; {}", name(role), here ? "" : " " + place.words(), held(identity)), std::move(needs), place};
}

}  // namespace

std::optional<Missing> missing_right(Reader& reader, const Identity& identity, const Route& route, const std::string& thing)
{
    const bool change = route.method != "GET";
    const Right right = right_of(route);
    // In a private environment its user starts jobs, and an administrator.
    if (route.pattern == "/v1/jobs/{uid}/retry")   // of a trigger's call start_run sees to it, where the deployment is at hand
        for (const std::string& environment : place_of(reader, right.about, thing, change).environments)
            if (auto missing = missing_in_private(reader, identity, environment)) return missing;
    // What needs no look at the thing itself is decided without: most callers have their role everywhere.
    if (const Role role = role_of(route.access); role != Role::none && !(identity.everywhere() && identity.role >= role))
        if (auto missing = missing_role(identity, role, place_of(reader, right.about, thing, change))) return missing;
    if ((route.access == Access::any_token && right.area == Area::none) || identity.scopes.has(right.area, change)) return std::nullopt;   // who the token is
    const std::string scope = right.area == Area::none ? std::string("*") : fmt::format("{}{}", name(right.area), change ? "" : ":read");
    return Missing{fmt::format("{}, which this token ({}) has not", right.area == Area::none ? std::string("a token without scopes") : "the scope " + scope, identity.id), Json::object({{"scope", Json(scope)}}), {}};
}

std::optional<Missing> missing_in_private(Reader& reader, const Identity& identity, const std::string& environment)
{
    const auto document = reader.document("Environment", environment);
    if (!document || document->spec["access"].as_string() != "private") return std::nullopt;
    const std::string& user = document->spec["user"].as_string();
    if ((identity.kind == "user" || identity.kind == "admin") && identity.subject == user) return std::nullopt;
    auto missing = missing_role(identity, Role::admin, in_environment(environment));
    if (missing) missing->text = fmt::format("a token of {}, whose own environment '{}' is (access: private), or {}", user, environment, missing->text);
    return missing;
}

bool permitted_in_private(Service& service, const Call& call, const Identity& identity, const std::string& environment, std::string_view action)
{
    const auto missing = missing_in_private(*service.core.reader(), identity, environment);
    if (missing) refuse(service, call, *missing, action);
    return !missing;
}

bool may_write(Service& service, const Call& call, const SpecOf& spec_of, std::string_view kind, const std::string& name, const Json& spec, const Json& stored)
{
    const std::string action = fmt::format("writing {} '{}'", kind, name);
    const auto reader = service.core.reader();
    const SpecOf now = specs_in(*reader);
    if (!stored.is_null() && !permitted(service, call, Role::developer, place_of_document(now, kind, name, stored), action)) return false;
    const Place place = place_of_document(spec_of, kind, name, spec);
    if (!permitted(service, call, Role::developer, place, action)) return false;
    const bool whose = kind == "Environment" && (!(spec["access"] == stored["access"]) || !(spec["user"] == stored["user"]));
    if (whose && !permitted(service, call, Role::admin, {}, fmt::format("saying whose environment '{}' is (access, user)", name))) return false;
    // Who writes a trigger there may start its jobs, and who writes a deployment says what they do.
    if (!permitted_in_its_private(service, call, kind, place, action)) return false;
    return stored.is_null() || permitted_in_its_private(service, call, kind, place_of_document(now, kind, name, stored), action);
}

bool permitted(Service& service, const Call& call, Role role, const Place& place, std::string_view action)
{
    const auto missing = missing_role(call.identity, role, place);
    if (missing) refuse(service, call, *missing, action);
    return !missing;
}

bool permitted(Service& service, const Call& call, const Route& route)
{
    const auto missing = missing_right(*service.core.reader(), call.identity, route, thing_of(call.path, route));
    if (missing) refuse(service, call, *missing, fmt::format("{} {}", route.method, route.pattern));
    return !missing;
}

std::string visible(const Identity& identity)
{
    if (identity.everywhere()) return {};
    std::string out = "|";
    for (const std::string& each : identity.environments) out += each + "|";
    return out;
}

}  // namespace mill::factory
