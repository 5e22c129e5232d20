#include <fmt/format.h>

#include "factory/resources/kinds.h"
#include "platform/base/clock.h"
#include "platform/base/fields.h"
#include "protocol/credential_kinds.h"

namespace mill::factory {

Result<Json> normalise_credential(const Json& body, const std::string& where)
{
    Fields fields(body, where);
    Json out = Json::object();
    const std::string kind = fields.one_of("kind", {"sap-cai", "oauth", "basic", "bearer", "header", "hmac", "webhook", "login", "generic"});
    const bool on_machine = fields.one_of("held", {"factory", "machine"}, "factory") == "machine";
    const Json values = on_machine ? fields.object("value", Json::object()) : fields.object("value");
    if (on_machine) {
        if (!values.empty()) fields.mistake("value", "must not be here: 'held: machine' says that the machines of the agents have it");
        if (kind == "sap-cai" || kind == "oauth" || kind == "hmac" || kind == "webhook") fields.mistake("held", fmt::format("cannot be machine for kind {}: the factory itself uses it", kind));
        out.set("held", "machine");
    } else if (!kind.empty()) {
        for (const std::string& mistake : protocol::credential_mistakes(kind, values)) fields.mistake("value", mistake);
    }
    Json hosts = Json::array();
    for (const std::string& host : fields.texts("hosts")) {
        if (host.empty() || host.find_first_of(" \t\r\n@") != std::string::npos) fields.mistake("hosts", fmt::format("has '{}', expected https://HOST[:PORT], smtp://HOST[:PORT] or HOST:PORT", host));
        hosts.push(Json(host));
    }
    const std::string environment = fields.text("environment", "");
    const std::string expires = fields.text("expires", "");
    out.set("kind", Json(kind)).set("value", values).set("hosts", std::move(hosts)).set("environment", Json(environment));
    if (!expires.empty()) {
        if (auto time = parse_time(expires.size() == 10 ? expires + "T00:00:00Z" : expires); !time)
            fields.mistake("expires", fmt::format("must be a date or an RFC 3339 time; found '{}'", expires));
        else
            out.set("expires", Json(format_time(*time)));
    }
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return out;
}

}  // namespace mill::factory
