#include "agent/broker/authentication.h"

#include <vector>

#include <fmt/core.h>

#include "agent/broker/verdict.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"

namespace mill::broker {
namespace {

Outcome<Json> find_credential(const std::string& name, const Grants& grants, const platform::Uri& uri)
{
    if (auto allowed = may_use_credential(grants.permissions, name); !allowed) return tl::unexpected(allowed.error());
    const Json* credential = grants.credentials.find(name);
    if (credential == nullptr)
        return refuse("authentication", 401, "No such credential",
                      fmt::format("the credential '{}' is granted, but the deployment maps it to nothing", name));
    Fields fields(*credential, fmt::format("credential '{}'", name));
    fields.ignore_unknown();
    const std::vector<std::string> hosts = fields.texts("hosts");
    if (!fields.done()) return refuse("configuration", 500, "Bad credential", fmt::format("the hosts of credential '{}' are no list", name));
    if (!hosts.empty() && !protocol::admits_network(hosts, uri.scheme, uri.host, uri.port))
        return refuse("authorization", 403, "Credential not for this host",
                      fmt::format("the credential '{}' may not go to {}://{}: add the host to the credential", name, uri.scheme, uri.authority()));
    return *credential;
}

Outcome<std::string> basic(const Json& values)
{
    const Json* user = values.find("username");
    const Json* password = values.find("password");
    if (user == nullptr || password == nullptr || !user->is_string() || !password->is_string())
        return refuse("configuration", 400, "Bad authentication", "basic authentication needs the texts username and password");
    if (user->as_string().find(':') != std::string::npos)
        return refuse("configuration", 400, "Bad authentication", "the username of basic authentication holds a ':'");
    return "Basic " + to_base64(user->as_string() + ":" + password->as_string());
}

Outcome<std::string> bearer(const Json& values)
{
    const Json* token = values.find("token");
    if (token == nullptr || !token->is_string())
        return refuse("configuration", 400, "Bad authentication", "bearer authentication needs the text token");
    return "Bearer " + token->as_string();
}

}  // namespace

Outcome<std::string> authorization_header(const Json& authentication, const Grants& grants, const platform::Uri& uri)
{
    if (authentication.is_null()) return std::string();
    if (!authentication.is_object() || authentication.size() != 1)
        return refuse("configuration", 400, "Bad authentication", "authentication has exactly one of basic, bearer, use");
    const auto& [scheme, given] = *authentication.as_object().begin();
    if (scheme != "basic" && scheme != "bearer" && scheme != "use")
        return refuse("configuration", 400, "Bad authentication", fmt::format("authentication '{}' is not supported: basic, bearer, use are", scheme));
    Json values = given;
    const Json& use = scheme == "use" ? given : given["use"];
    if (!use.is_null()) {
        if (!use.is_string()) return refuse("configuration", 400, "Bad authentication", "authentication: use names a credential");
        auto found = find_credential(use.as_string(), grants, uri);
        if (!found) return tl::unexpected(found.error());
        values = std::move(*found);
    }
    if (scheme == "basic") return basic(values);
    if (scheme == "bearer") return bearer(values);
    return values.contains("token") ? bearer(values) : basic(values);
}

}  // namespace mill::broker
