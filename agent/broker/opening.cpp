#include "agent/broker/opening.h"

#include <fmt/format.h>

#include "platform/base/yaml.h"
#include "protocol/credential_kinds.h"

namespace mill::broker {

Result<Opening> Opening::begin(std::string key, Json permissions, protocol::Boxed boxed, std::string missing)
{
    Opening out;
    for (const auto& [name, item] : boxed.machine.as_object()) {
        if (item["name"].as_string().empty()) return fail(Errc::corrupt, fmt::format("what the factory sealed for '{}' is no credential", name.substr(0, 100)));
        out.waits_.insert(item["name"].as_string());
    }
    out.key_ = std::move(key);
    out.permissions_ = std::move(permissions);
    out.credentials_ = std::move(boxed.credentials);
    out.machine_ = std::move(boxed.machine);
    out.missing_ = std::move(missing);
    return out;
}

Status Opening::take(const std::string& name, const Result<std::string>& text)
{
    const auto wrong = [&](const std::string& why) { return fail(Errc::invalid, fmt::format("credential '{}', which the agent's machine is to hold: {}", name, why)); };
    if (!text) return wrong(text.error().what);
    // The parser's words may repeat what stands in the file.
    const auto document = parse_yaml(*text, {.bytes = 256 * 1024, .nodes = 1000, .depth = 8});
    if (!document) return wrong("its file is neither YAML nor JSON");
    for (const auto& [own, item] : machine_.as_object()) {
        if (item["name"].as_string() != name) continue;
        auto read = protocol::read_machine_credential(item["kind"].as_string(), document->value);
        if (!read) return wrong("its file " + read.error().what);
        credentials_.set(own, read->values.set("kind", item["kind"]).set("hosts", item["hosts"]));
        if (!read->reveal) kept_.insert(own);
        if (!read->hosts.empty()) machine_hosts_[own] = std::move(read->hosts);
    }
    waits_.erase(name);
    return {};
}

Result<std::shared_ptr<const Grants>> Opening::grants()
{
    return make_grants(permissions_, credentials_, missing_, machine_hosts_, kept_);
}

}  // namespace mill::broker
