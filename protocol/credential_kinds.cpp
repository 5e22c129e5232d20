#include "protocol/credential_kinds.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "platform/base/text.h"

namespace mill::protocol {
namespace {

struct KindMembers {
    std::string_view kind;
    std::array<std::string_view, 4> required;
};
constexpr std::array<KindMembers, 10> kCredentialKinds{{{"sap-cai", {"tokenUrl", "clientId", "clientSecret", "botToken"}},
                                             {"oauth", {"tokenUrl", "clientId", "clientSecret"}},
                                             {"basic", {"username", "password"}},
                                             {"login", {"username", "password"}},
                                             {"bearer", {"token"}},
                                             {"header", {"name", "value"}},
                                             {"hmac", {"secret"}},
                                             {"webhook", {"url"}},
                                             {"certificate", {"certificate", "key"}},
                                             {"generic", {}}}};

/// A field's name as HTTP has it (RFC 9110, token), none of those that frame the message.
bool is_header_name(std::string_view name)
{
    const std::string lower = lower_case(name);
    for (const char c : lower)
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos) return false;
    return !lower.empty() && lower.size() <= 100 && lower != "host" && lower != "content-length" && lower != "transfer-encoding" && lower != "connection";
}

/// Absolute http(s) with a host, no spaces and no user; what is behind the host may be anything.
bool is_address(std::string_view url)
{
    const std::string lower = lower_case(url.substr(0, 8));
    std::string_view rest = url.substr(std::min(url.size(), std::string_view(lower).starts_with("https://") ? std::size_t{8} : std::size_t{7}));
    if (!std::string_view(lower).starts_with("https://") && !std::string_view(lower).starts_with("http://")) return false;
    for (const char c : url)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return false;
    const std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
    return !host.empty() && host.front() != ':' && host.find('@') == std::string_view::npos;
}

const KindMembers* find_kind(std::string_view kind)
{
    for (const KindMembers& each : kCredentialKinds)
        if (each.kind == kind) return &each;
    return nullptr;
}

}  // namespace

bool is_credential_kind(std::string_view kind) { return find_kind(kind) != nullptr; }

std::vector<std::string> credential_mistakes(std::string_view kind, const Json& values)
{
    std::vector<std::string> out;
    for (const auto& [name, value] : values.as_object()) {
        if (!value.is_string()) out.push_back(fmt::format("has '{}' of type {}, expected a string", name, value.kind_name()));
        if (value.as_string().size() > 65'536) out.push_back(fmt::format("has '{}' above 64 KiB", name));
    }
    const KindMembers* members = find_kind(kind);
    if (members == nullptr) return out;
    if (kind == "generic") {
        if (values.empty()) out.emplace_back("is empty");
        return out;
    }
    for (const std::string_view member : members->required)
        if (!member.empty() && values[member].as_string().empty()) out.push_back(fmt::format("lacks '{}', which kind {} needs", member, kind));
    for (const auto& [name, value] : values.as_object()) {
        bool known = (kind == "oauth" && (name == "scope" || name == "audience")) || (kind == "certificate" && name == "authority");
        for (const std::string_view member : members->required) known = known || (!member.empty() && member == name);
        if (!known) out.push_back(fmt::format("has '{}', which kind {} does not know", name, kind));
    }
    for (const char* address : {"url", "tokenUrl"})
        if (const std::string& url = values[address].as_string(); !url.empty() && !is_address(url))
            out.push_back(fmt::format("has a '{}' that is no address such as https://HOST/…", address));
    if (kind == "header") {
        if (const std::string& name = values["name"].as_string(); !name.empty() && !is_header_name(name)) out.emplace_back("has a 'name' that is not a header's");
        for (const char c : values["value"].as_string())
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
                out.emplace_back("has a control character in 'value'");
                break;
            }
    }
    return out;
}

Result<MachineCredential> read_machine_credential(std::string_view kind, const Json& document)
{
    if (!document.is_object()) return fail(Errc::invalid, "must hold members such as 'username: …', one a line, as YAML or JSON");
    MachineCredential out{Json::object(), {}, false};
    std::string own(kind);
    for (const auto& [name, value] : document.as_object()) {
        if (name == "hosts") {
            if (!value.is_array()) return fail(Errc::invalid, "has 'hosts' that is no list");
            for (const Json& host : value.as_array()) {
                if (!host.is_string() || host.as_string().empty()) return fail(Errc::invalid, "has a host that is no text");
                out.hosts.push_back(host.as_string());
            }
        } else if (name == "reveal" && value.is_bool()) {
            out.reveal = value.as_bool();
        } else if (name == "kind") {
            if (!is_credential_kind(value.as_string())) return fail(Errc::invalid, "has a 'kind' that there is not");
            if (!own.empty() && own != value.as_string()) return fail(Errc::invalid, fmt::format("is of kind {}, the factory says {}", value.as_string(), own));
            own = value.as_string();
        } else {
            out.values.set(name, value);
        }
    }
    if (const auto mistakes = credential_mistakes(own.empty() ? "generic" : std::string_view(own), out.values); !mistakes.empty()) return fail(Errc::invalid, mistakes.front());
    return out;
}

}  // namespace mill::protocol
