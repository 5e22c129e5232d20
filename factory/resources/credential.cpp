#include <fmt/format.h>

#include "factory/resources/kinds.h"
#include "platform/base/clock.h"
#include "platform/base/fields.h"
#include "platform/client_certificate.h"
#include "protocol/credential_kinds.h"

namespace mill::factory {

namespace {

/// That key and certificate belong together, before somebody waits for what is sent with them. It ends when the certificate does, or sooner.
std::string certificate_end(Fields& fields, const Json& values, std::string said)
{
    const auto text = [&](const char* member) -> const std::string& { return values[member].as_string(); };
    if (text("certificate").empty() || text("key").empty()) return said;   // said already
    const auto read = platform::read_client_certificate(text("certificate"), text("key"), text("authority"));
    if (!read) {
        fields.mistake("value", "is not right: " + read.error().what);
        return said;
    }
    if (read->until <= system_clock().now()) fields.mistake("value", fmt::format("has a certificate ({}) that has expired on {}", read->subject, format_time(read->until)));
    const auto sooner = parse_time(said.size() == 10 ? said + "T00:00:00Z" : said);
    return said.empty() || (sooner && *sooner > read->until) ? format_time(read->until) : said;
}

}  // namespace

Result<Json> normalise_credential(const Json& body, const std::string& where)
{
    Fields fields(body, where);
    Json out = Json::object();
    const std::string kind = fields.one_of("kind", {"sap-cai", "oauth", "basic", "bearer", "header", "hmac", "webhook", "certificate", "login", "generic"});
    const bool on_machine = fields.one_of("held", {"factory", "machine"}, "factory") == "machine";
    const Json values = on_machine ? fields.object("value", Json::object()) : fields.object("value");
    if (on_machine) {
        if (!values.empty()) fields.mistake("value", "must not be here: 'held: machine' says that the machines of the agents have it");
        if (kind == "sap-cai" || kind == "oauth" || kind == "hmac" || kind == "webhook" || kind == "certificate") fields.mistake("held", fmt::format("cannot be machine for kind {}: the factory itself uses it", kind));
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
    std::string expires = fields.text("expires", "");
    if (kind == "certificate" && !on_machine) expires = certificate_end(fields, values, std::move(expires));
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
