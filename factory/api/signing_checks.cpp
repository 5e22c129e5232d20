#include "factory/api/signing_checks.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/core/signing.h"

namespace mill::factory {
namespace {

tl::unexpected<Refusal> refusal(Errc code, std::string what) { return tl::unexpected<Refusal>(Refusal{Error{code, std::move(what)}, {}}); }

/// All documents of a kind as they will be.
std::vector<Document> to_be(Reader& reader, ResourceKind kind, const std::vector<ResourceDocument>& overlay)
{
    std::vector<Document> out;
    const auto replaced = [&](const std::string& name) { return std::any_of(overlay.begin(), overlay.end(), [&](const auto& each) { return each.kind == kind && each.name == name; }); };
    if (auto stored = reader.documents(word(kind)))
        for (Document& document : *stored)
            if (!replaced(document.name)) out.push_back(std::move(document));
    for (const ResourceDocument& each : overlay)
        if (each.kind == kind) out.push_back({.kind = std::string(word(kind)), .name = each.name, .uid = {}, .spec = each.spec, .generation = 0, .created = {}, .changed = {}, .changed_by = {}});
    return out;
}

tl::expected<void, Refusal> check_publisher(Reader& reader, const ResourceDocument& document, const std::optional<Document>& stored, const std::vector<ResourceDocument>& overlay)
{
    const std::string where = fmt::format("Publisher '{}'", document.name);
    const auto has = [](const Json& list, const Json& key) { return std::find(list.as_array().begin(), list.as_array().end(), key) != list.as_array().end(); };
    if (stored)
        for (const Json& key : stored->spec["revoked"].as_array())
            if (!has(document.spec["revoked"], key)) return refusal(Errc::conflict, fmt::format("{}: the key {} was revoked, and stays so: keep it in 'revoked'", where, key.as_string()));
    for (const Document& other : to_be(reader, ResourceKind::publisher, overlay)) {
        if (other.name == document.name) continue;
        for (const char* mine : {"keys", "revoked"})
            for (const Json& key : document.spec[mine].as_array())
                for (const char* theirs : {"keys", "revoked"})
                    if (has(other.spec[theirs], key)) return refusal(Errc::conflict, fmt::format("{}: the key {} is that of Publisher '{}'", where, key.as_string(), other.name));
    }
    return {};
}

std::string why_not(Reader& reader, const Json& environment, const std::vector<Document>& publishers, const std::string& named)
{
    if (environment["requireSigned"].empty()) return {};
    const auto package = reader.package(named.substr(0, named.find('@')), named.substr(named.find('@') + 1));
    if (!package) return {};   // said elsewhere
    const auto signatures = reader.signatures(package->digest);
    return signatures ? why_not_signed(environment, publishers, *signatures, named) : signatures.error().what;
}

}  // namespace

tl::expected<void, Refusal> check_signing(Reader& reader, const ResourceDocument& document, const std::optional<Document>& stored, const std::vector<ResourceDocument>& overlay,
                                          bool admin)
{
    const bool publisher = document.kind == ResourceKind::publisher, environment = document.kind == ResourceKind::environment;
    const Json demanded = stored ? stored->spec["requireSigned"] : Json();
    if (!admin && (publisher || (environment && !(demanded == document.spec["requireSigned"]))) && !(stored && stored->spec == document.spec))
        return refusal(Errc::denied, fmt::format("{} '{}': only an administrator (role admin) says whose signatures count{}", word(document.kind), document.name,
                                                 environment ? " (requireSigned)" : ""));
    if (publisher) return check_publisher(reader, document, stored, overlay);
    if (document.kind == ResourceKind::deployment) {
        const std::string& name = document.spec["environment"].as_string();
        for (const Document& each : to_be(reader, ResourceKind::environment, overlay))
            if (each.name == name)
                if (const auto why = why_not(reader, each.spec, to_be(reader, ResourceKind::publisher, overlay), document.spec["package"].as_string()); !why.empty())
                    return refusal(Errc::conflict, fmt::format("Deployment '{}': {}", document.name, why));
    }
    if (environment && !document.spec["requireSigned"].empty())
        for (const Document& each : to_be(reader, ResourceKind::deployment, overlay))
            if (each.spec["environment"].as_string() == document.name)
                if (const auto why = why_not(reader, document.spec, to_be(reader, ResourceKind::publisher, overlay), each.spec["package"].as_string()); !why.empty())
                    return refusal(Errc::conflict, fmt::format("Environment '{}': its deployment '{}' would make no jobs: {}", document.name, each.name, why));
    return {};
}

}  // namespace mill::factory
