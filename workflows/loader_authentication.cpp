#include <algorithm>

#include "platform/base/nearest.h"
#include "workflows/reader.h"

namespace mill::workflows {
namespace {

bool is_expression(const Json& value) { return value.is_string() && value.as_string().find("${") != std::string::npos; }

}  // namespace

/// `names` is a secret of use.secrets: the credential of that name.
bool Reader::secret_name(const Node& node)
{
    if (!text(node, "'use'")) return false;
    const std::string& name = node.value->as_string();
    if (std::find(doc.secrets.begin(), doc.secrets.end(), name) != doc.secrets.end()) return true;
    return error(node.pointer, fmt::format("the secret '{}' is not declared in use.secrets{}", name, did_you_mean(name, doc.secrets)), "undeclared");
}

void Reader::authentication(const Node& node)
{
    if (!object(node, "an authentication")) return;
    if (node.has("certificate")) {
        error(node.at("certificate").pointer, "the authentication 'certificate' is not supported: use basic, bearer, digest, oauth2, oidc, or a credential by name", "unsupported");
        return;
    }
    if (!keys(node, "an authentication", {"use", "basic", "bearer", "digest", "oauth2", "oidc"})) return;
    if (node.value->size() != 1) {
        error(node.pointer, "an authentication is exactly one of use, basic, bearer, digest, oauth2, oidc");
        return;
    }
    if (node.has("use")) {
        const Node name = node.at("use");
        if (!text(name, "'use'")) return;
        if (!doc.authentications.contains(name.value->as_string()) && std::find(doc.secrets.begin(), doc.secrets.end(), name.value->as_string()) == doc.secrets.end())
            error(name.pointer, fmt::format("'{}' is declared neither in use.authentications nor in use.secrets", name.value->as_string()), "undeclared");
        return;
    }
    const std::string scheme = node.value->as_object().begin()->first;
    const Node kind = node.at(scheme);
    const std::string what = fmt::format("'{}'", scheme);
    if (!object(kind, what)) return;
    if (kind.has("use")) {
        if (keys(kind, what + " with 'use'", {"use"})) secret_name(kind.at("use"));
        return;
    }
    if (scheme == "oauth2" || scheme == "oidc") return oauth(kind, what, scheme == "oidc");
    if (scheme == "bearer") {
        if (keys(kind, what, {"token"}) && require(kind, what, {"token"})) text(kind.at("token"), "'token'");
        return;
    }
    if (!keys(kind, what, {"username", "password"}) || !require(kind, what, {"username", "password"})) return;
    for (const char* key : {"username", "password"}) text(kind.at(key), fmt::format("'{}'", key));
}

void Reader::oauth(const Node& node, const std::string& what, bool discovers)
{
    if (!keys(node, what, {"authority", "endpoints", "grant", "client", "request", "issuers", "scopes", "audiences", "username", "password", "subject", "actor"})) return;
    require(node, what, {"authority", "grant"});
    const auto one_of = [&](const Node& of, std::string_view name, const std::vector<std::string>& allowed, const std::vector<std::string>& later) {
        if (!text(of, fmt::format("'{}'", name)) || is_expression(*of.value)) return;
        const std::string& value = of.value->as_string();
        if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
        const bool known = std::find(later.begin(), later.end(), value) != later.end();
        error(of.pointer, fmt::format("the {} '{}' is {}: use {}{}", name, value, known ? "not supported" : "not known", fmt::join(allowed, ", "), known ? "" : did_you_mean(value, allowed)), "unsupported");
    };
    const auto texts = [&](const char* key) {
        if (!node.has(key) || is_expression(*node.at(key).value)) return;
        const Node list = node.at(key);
        if (!list.value->is_array()) error(list.pointer, fmt::format("'{}' is a list", key));
        else for (std::size_t i = 0; i < list.value->size(); ++i) text(list.at(i), fmt::format("each of '{}'", key));
    };
    if (node.has("authority")) text(node.at("authority"), "'authority'");
    if (node.has("grant"))
        one_of(node.at("grant"), "grant", {"client_credentials", "password", "refresh_token"}, {"authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"});
    for (const char* key : {"scopes", "audiences", "issuers"}) texts(key);
    for (const char* key : {"username", "password"})
        if (node.has(key)) text(node.at(key), fmt::format("'{}'", key));
    if (node.has("actor")) error(node.at("actor").pointer, "'actor' is of the token exchange, which is not supported", "unsupported");
    if (node.has("subject") && keys(node.at("subject"), "'subject'", {"token", "type"}) && require(node.at("subject"), "'subject'", {"token"}))
        text(node.at("subject").at("token"), "'token'");
    if (node.has("client") && keys(node.at("client"), "'client'", {"id", "secret", "assertion", "authentication"})) {
        const Node client = node.at("client");
        for (const char* key : {"id", "secret"})
            if (client.has(key)) text(client.at(key), fmt::format("'{}'", key));
        if (client.has("assertion")) error(client.at("assertion").pointer, "'assertion' is not supported: use client.secret", "unsupported");
        if (client.has("authentication"))
            one_of(client.at("authentication"), "client authentication", {"client_secret_basic", "client_secret_post", "none"}, {"client_secret_jwt", "private_key_jwt"});
    }
    if (node.has("request") && keys(node.at("request"), "'request'", {"encoding"}) && node.at("request").has("encoding"))
        one_of(node.at("request").at("encoding"), "request encoding",
               {"application/x-www-form-urlencoded", "application/json", "application/x-www-form-urlencoded; charset=utf-8", "application/json; charset=utf-8"}, {});
    if (node.has("endpoints")) {
        const Node endpoints = node.at("endpoints");
        if (discovers) error(endpoints.pointer, "'oidc' has no 'endpoints': the discovery document of its authority names them");
        else if (keys(endpoints, "'endpoints'", {"token", "revocation", "introspection"}) && endpoints.has("token")) text(endpoints.at("token"), "'token'");
    }
    const Json& grant = *node.at("grant").value;
    if (grant == Json("password")) require(node, what + " with the grant password", {"username", "password"});
    if (grant == Json("refresh_token")) require(node, what + " with the grant refresh_token", {"subject"});
    if (grant == Json("client_credentials")) require(node, what + " with the grant client_credentials", {"client"});
}

}  // namespace mill::workflows
