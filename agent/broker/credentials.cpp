#include "agent/broker/credentials.h"

#include <vector>

#include <fmt/core.h>

#include "agent/broker/verdict.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"

namespace mill::broker {
namespace {

constexpr std::string_view kOpen = "\xEE\x80\x80", kClose = "\xEE\x80\x81";

/// No hosts at all: anywhere. A bare name means the host, whatever the port.
bool among(std::vector<std::string> hosts, const platform::Uri& uri)
{
    for (std::string& host : hosts)
        if (host.find(':') == std::string::npos) host += ":*";
    return hosts.empty() || protocol::admits_network(hosts, uri.scheme, uri.host, uri.port);
}

Outcome<std::string> fill_text(std::string_view text, bool in_uri, const Grants& grants, std::set<std::string>& used)
{
    std::string out;
    for (;;) {
        const auto open = text.find(kOpen);
        out += text.substr(0, open);
        if (open == std::string_view::npos) return out;
        const auto close = text.find(kClose, open);
        if (close == std::string_view::npos) return refuse("validation", 400, "Bad secret", "a secret's handle was cut");
        auto value = value_of_handle(text.substr(open + kOpen.size(), close - open - kOpen.size()), grants, used);
        if (!value) return value;
        out += in_uri ? percent_encode(*value) : *value;
        text.remove_prefix(close + kClose.size());
    }
}

Outcome<Json> fill(const Json& value, bool in_uri, const Grants& grants, std::set<std::string>& used)
{
    if (value.is_string()) {
        auto text = fill_text(value.as_string(), in_uri, grants, used);
        if (!text) return tl::unexpected(text.error());
        return Json(std::move(*text));
    }
    // Recursion is bounded by the depth of what was parsed.
    if (value.is_array()) {
        Json out = Json::array();
        for (const Json& item : value.as_array()) {
            auto filled = fill(item, false, grants, used);
            if (!filled) return filled;
            out.push(std::move(*filled));
        }
        return out;
    }
    if (value.is_object()) {
        Json out = Json::object();
        for (const auto& [key, item] : value.as_object()) {
            auto filled = fill(item, key == "uri", grants, used);
            if (!filled) return filled;
            out.set(key, std::move(*filled));
        }
        return out;
    }
    return value;
}

}  // namespace

Outcome<Json> find_credential(const std::string& name, const Grants& grants)
{
    if (auto allowed = may_use_credential(grants.permissions, name); !allowed) return tl::unexpected(allowed.error());
    const Json* credential = grants.credentials.find(name);
    if (credential == nullptr && !grants.missing.empty())
        return refuse("authentication", 401, "Credential not there", fmt::format("the credential '{}' could not be had: {}", name, grants.missing));
    if (credential == nullptr)
        return refuse("authentication", 401, "No such credential",
                      fmt::format("the credential '{}' is granted, but the deployment maps it to nothing", name));
    return *credential;
}

Outcome<std::string> value_of_handle(std::string_view handle, const Grants& grants, std::set<std::string>& used)
{
    const auto dot = handle.find('.');
    const std::string name(handle.substr(0, dot));
    auto credential = find_credential(name, grants);
    if (!credential) return tl::unexpected(credential.error());
    const Json* value = dot == std::string_view::npos ? nullptr : credential->find(handle.substr(dot + 1));
    if (value == nullptr || !value->is_string())
        return refuse("authentication", 401, "No such secret", fmt::format("the credential '{}' has no text '{}'", name, handle.substr(dot == std::string_view::npos ? handle.size() : dot + 1)));
    used.insert(name);
    return value->as_string();
}

Outcome<void> may_go_to(const std::string& name, const Grants& grants, const platform::Uri& uri)
{
    auto credential = find_credential(name, grants);
    if (!credential) return tl::unexpected(credential.error());
    Fields fields(*credential, fmt::format("credential '{}'", name));
    fields.ignore_unknown();
    const std::vector<std::string> hosts = fields.texts("hosts");
    if (!fields.done()) return refuse("configuration", 500, "Bad credential", fmt::format("the hosts of credential '{}' are no list", name));
    if (!among(hosts, uri))
        return refuse("authorization", 403, "Credential not for this host",
                      fmt::format("the credential '{}' may not go to {}://{}: add the host to the credential", name, uri.scheme, uri.authority()));
    const auto machine = grants.machine_hosts.find(name);
    if (machine != grants.machine_hosts.end() && !among(machine->second, uri))
        return refuse("authorization", 403, "Credential not for this host",
                      fmt::format("this machine lets the credential '{}' not go to {}://{}: add the host to 'hosts' of its file there", name, uri.scheme, uri.authority()));
    return {};
}

bool holds_handle(const Json& value)
{
    if (value.is_string()) return value.as_string().find(kOpen) != std::string::npos;
    for (const Json& item : value.as_array())
        if (holds_handle(item)) return true;
    for (const auto& [key, item] : value.as_object())
        if (holds_handle(item)) return true;
    return false;
}

Outcome<Json> fill_handles(const Json& value, const Grants& grants, std::set<std::string>& used)
{
    return fill(value, false, grants, used);
}

}  // namespace mill::broker
