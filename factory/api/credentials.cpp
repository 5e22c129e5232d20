#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "factory/resources/kinds.h"
#include "factory/resources/named_credentials.h"
#include "factory/resources/resource.h"
#include "platform/base/redact.h"

namespace mill::factory::handler {

static bool names_credential(const Json& spec, const std::string& name)
{
    for (const auto& [place, credential] : credentials_named_in(spec))
        if (credential == name) return true;
    return false;
}

/// Who refers to a credential: deployments, notifiers, and triggers that take chat calls.
static std::vector<std::string> users_of(Reader& reader, const std::string& name, bool used_here_only = false)
{
    std::vector<std::string> out;
    if (const auto deployments = reader.documents("Deployment"); deployments && !used_here_only)
        for (const Document& each : *deployments)
            for (const Json* map : {&each.spec["credentials"], &each.spec["inherited"]["credentials"]})
                for (const auto& [inside, target] : map->as_object())
                    if (target.as_string() == name) out.push_back(fmt::format("Deployment '{}'", each.name));
    if (const auto environments = reader.documents("Environment"); environments && !used_here_only)
        for (const Document& each : *environments)
            for (const auto& [inside, target] : each.spec["credentials"].as_object())
                if (target.as_string() == name) out.push_back(fmt::format("Environment '{}'", each.name));
    if (const auto notifiers = reader.documents("Notifier"))
        for (const Document& each : *notifiers)
            if (names_credential(each.spec, name)) out.push_back(fmt::format("Notifier '{}'", each.name));
    if (const auto triggers = reader.documents("Trigger"))
        for (const Document& each : *triggers)
            if (names_credential(each.spec, name)) out.push_back(fmt::format("Trigger '{}'", each.name));
    return out;
}

void put_credential(Service& service, const CallPtr& call)
{
    const std::string& name = (*call)["name"];
    if (!is_name(name))
        return reply_problem(*call, 400, fmt::format("the name '{}' must be 1 to 100 lower-case letters, digits, '-', '_' or '.'", name.substr(0, 120)));
    const auto json = read_json(*call);
    if (!json) return;
    auto credential = normalise_credential(*json, fmt::format("credential '{}'", name));
    if (!passed(*call, credential)) return;
    const Json values = (*credential)["value"];
    Json about = *credential, members = Json::array();
    about.erase("value");
    for (const auto& [member, value] : values.as_object()) members.push(Json(member));
    about.set("members", std::move(members));
    const std::string& bound = about["environment"].as_string();
    if (!permitted(service, *call, Role::admin, bound.empty() ? Place{} : Place{Place::Of::all, {bound}}, fmt::format("storing credential '{}' for {}", name, bound.empty() ? "every environment" : "environment '" + bound + "'"))) return;
    bool known = false;
    {
        const auto reader = service.core.reader();
        known = reader->credential(name).has_value();
        if (about["held"].as_string() == "machine")
            if (const auto users = users_of(*reader, name, true); !users.empty())
                return reply_problem(*call, 409, fmt::format("credential '{}' is used by {}, for which the factory needs its values: 'held: machine' is not possible", name, fmt::join(users, ", ")));
        if (const auto& environment = about["environment"].as_string(); !environment.empty() && !reader->document("Environment", environment))
            return reply_problem(*call, 409, fmt::format("credential '{}': environment '{}' is not there", name, environment));
    }
    service.core.put_credential(name, std::move(about), service.vault.seal(name, values), call->who(), [call, known](const Result<CredentialRecord>& stored) {
        if (passed(*call, stored)) reply(*call, known ? 200 : 201, credential_json(*stored));
    });
}

void list_credentials(Service& service, const CallPtr& call)
{
    auto credentials = service.core.reader()->credentials();
    if (!passed(*call, credentials)) return;
    Json items = Json::array();
    for (const auto& each : *credentials) {
        const auto& environment = each.about["environment"].as_string();
        if (environment.empty() || sees_environment(*call, environment)) items.push(credential_json(each));
    }
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

void get_credential(Service& service, const CallPtr& call)
{
    auto credential = service.core.reader()->credential((*call)["name"]);
    if (passed(*call, credential)) reply(*call, 200, credential_json(*credential));
}

void delete_credential(Service& service, const CallPtr& call)
{
    if (const auto users = users_of(*service.core.reader(), (*call)["name"]); !users.empty())
        return reply_problem(*call, 409, fmt::format("credential '{}' is in use by {}", (*call)["name"], fmt::join(users, ", ")));
    service.core.delete_credential((*call)["name"], call->who(), [call](const Result<Nothing>& done) {
        if (passed(*call, done)) reply_empty(*call);
    });
}

}  // namespace mill::factory::handler
