#include <array>

#include <fmt/format.h>

#include "factory/resources/kinds.h"
#include "platform/base/clock.h"
#include "platform/base/fields.h"
#include "platform/base/text.h"

namespace mill::factory {
namespace {

struct KindMembers {
    std::string_view kind;
    std::array<std::string_view, 4> required;
};
constexpr std::array<KindMembers, 7> kKinds{{{"sap-cai", {"tokenUrl", "clientId", "clientSecret", "botToken"}},
                                             {"basic", {"username", "password"}},
                                             {"login", {"username", "password"}},
                                             {"bearer", {"token"}},
                                             {"header", {"name", "value"}},
                                             {"hmac", {"secret"}},
                                             {"generic", {}}}};

/// A field's name as HTTP has it (RFC 9110, token), none of those that frame the message.
bool is_header_name(std::string_view name)
{
    const std::string lower = lower_case(name);
    for (const char c : lower)
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos) return false;
    return !lower.empty() && lower.size() <= 100 && lower != "host" && lower != "content-length" && lower != "transfer-encoding" && lower != "connection";
}

void check_values(Fields& fields, std::string_view kind, const Json& values)
{
    for (const auto& [name, value] : values.as_object()) {
        if (!value.is_string()) fields.mistake("value", fmt::format("has '{}' of type {}, expected a string", name, value.kind_name()));
        if (value.as_string().size() > 65'536) fields.mistake("value", fmt::format("has '{}' above 64 KiB", name));
    }
    for (const KindMembers& each : kKinds) {
        if (each.kind != kind) continue;
        if (kind == "generic") {
            if (values.empty()) fields.mistake("value", "is empty");
            return;
        }
        for (const std::string_view member : each.required)
            if (!member.empty() && values[member].as_string().empty())
                fields.mistake("value", fmt::format("lacks '{}', which kind {} needs", member, kind));
        for (const auto& [name, value] : values.as_object()) {
            bool known = false;
            for (const std::string_view member : each.required) known = known || (!member.empty() && member == name);
            if (!known) fields.mistake("value", fmt::format("has '{}', which kind {} does not know", name, kind));
        }
        if (kind == "header") {
            if (const std::string& name = values["name"].as_string(); !name.empty() && !is_header_name(name)) fields.mistake("value", "has a 'name' that is not a header's");
            for (const char c : values["value"].as_string())
                if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
                    fields.mistake("value", "has a control character in 'value'");
                    break;
                }
        }
    }
}

}  // namespace

Result<Json> normalise_credential(const Json& body, const std::string& where)
{
    Fields fields(body, where);
    Json out = Json::object();
    const std::string kind = fields.one_of("kind", {"sap-cai", "basic", "bearer", "header", "hmac", "login", "generic"});
    const Json values = fields.object("value");
    if (!kind.empty()) check_values(fields, kind, values);
    Json hosts = Json::array();
    for (const std::string& host : fields.texts("hosts")) {
        if (host.empty() || host.find_first_of(" \t\r\n@") != std::string::npos) fields.mistake("hosts", fmt::format("has '{}', expected https://HOST[:PORT] or HOST:PORT", host));
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
