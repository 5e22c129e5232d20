#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/resources/notifier_parts.h"

namespace mill::factory {
namespace {

std::string wrong_credential(const std::string& name, const std::vector<std::string_view>& kinds, const References& references)
{
    const auto kind = references.credential_kind(name);
    if (!kind) return fmt::format("credential '{}' is not there (millwright credentials set {} --kind {})", name, name, kinds.front());
    if (std::find(kinds.begin(), kinds.end(), *kind) == kinds.end())
        return fmt::format("credential '{}' must be of kind {}, it is of kind {}", name, fmt::join(kinds, " or "), *kind);
    if (references.credential_on_machine && references.credential_on_machine(name))
        return fmt::format("credential '{}' is held by the agents' machines (held: machine), and a notifier's is sent by the factory: store its values here, under another name", name);
    return {};
}

/// What was typed for `secret` may be one: the error does not repeat it.
std::string wrong_signature(const std::string& name, const References& references)
{
    const auto kind = references.credential_kind(name);
    if (!kind)
        return "api.secret names a credential, and there is none of that name: store the secret with `millwright credentials set NAME --kind hmac --json-file -` "
               "({\"secret\": \"...\"}) and write `secret: NAME`";
    if (*kind != "hmac") return fmt::format("api.secret must name a credential of kind hmac, '{}' is of kind {}", name, *kind);
    return {};
}

std::vector<std::string_view> kinds_for(const Json& spec)
{
    if (spec["type"].as_string() == "chat") {
        const std::string& platform = spec["chat"]["platform"].as_string();
        return {platform == "sap-cai" ? "sap-cai" : platform == "teams" ? "webhook" : platform == "teams-bot" ? "oauth" : "bearer"};
    }
    if (spec["type"].as_string() == "mail") return {"login", "basic"};
    const std::string& how = spec["api"]["authentication"].as_string();
    if (how == "basic") return {"basic", "login", "generic"};
    if (how == "bearer") return {"bearer", "generic"};
    if (how == "oauth") return {"oauth"};
    if (how == "certificate") return {"certificate"};
    return {"header"};
}

}  // namespace

tl::expected<void, Refusal> check_notifier_references(const ResourceDocument& document, const References& references)
{
    std::vector<std::string> wrong;
    const auto note = [&](std::string text) {
        if (!text.empty()) wrong.push_back(std::move(text));
    };
    const Json& spec = document.spec;
    for (const auto& [kind, member] : {std::pair{ResourceKind::trigger, "trigger"}, {ResourceKind::deployment, "deployment"}, {ResourceKind::environment, "environment"}})
        if (const std::string& name = spec[member].as_string(); !name.empty() && !references.has(kind, name)) note(fmt::format("{} '{}' is not there", member, name));
    const Json& part = spec[spec["type"].as_string()];
    if (const std::string& secret = spec["api"]["secret"].as_string(); !secret.empty()) note(wrong_signature(secret, references));
    if (const std::string& secret = spec["chat"]["secret"].as_string(); !secret.empty()) note(wrong_credential(secret, {"hmac"}, references));
    if (const std::string& name = spec["api"]["certificate"].as_string(); !name.empty()) note(wrong_credential(name, {"certificate"}, references));
    if (const std::string& name = part["credentials"].as_string(); !name.empty()) note(wrong_credential(name, kinds_for(spec), references));
    if (wrong.empty()) return {};
    return tl::unexpected(Refusal{{Errc::conflict, fmt::format("Notifier '{}': {}", document.name, fmt::join(wrong, "; "))}, {}});
}

}  // namespace mill::factory
