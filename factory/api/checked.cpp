#include "factory/api/checked.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/approvers.h"
#include "factory/api/references.h"
#include "factory/api/signing_checks.h"
#include "protocol/problem.h"

namespace mill::factory {
namespace {

/// A deployment's new version must still have the workflows that its triggers start.
std::vector<std::string> lost_workflows(const ResourceDocument& deployment, Reader& reader, const References& references,
                                        const std::vector<ResourceDocument>& overlay)
{
    std::vector<std::string> lost;
    const std::string& package = deployment.spec["package"].as_string();
    const auto manifest = references.manifest(package.substr(0, package.find('@')), package.substr(package.find('@') + 1));
    const auto triggers = reader.documents("Trigger");
    if (!manifest || !triggers) return lost;
    for (const Document& trigger : *triggers) {
        const bool replaced = std::any_of(overlay.begin(), overlay.end(), [&](const auto& each) { return each.kind == ResourceKind::trigger && each.name == trigger.name; });
        if (replaced || trigger.spec["deployment"].as_string() != deployment.name) continue;
        if (!manifest->workflows.contains(trigger.spec["workflow"].as_string()))
            lost.push_back(fmt::format("'{}' of trigger '{}'", trigger.spec["workflow"].as_string(), trigger.name));
    }
    return lost;
}

/// What the state of its version and its history say against a deployment; answers warnings.
tl::expected<std::vector<std::string>, Refusal> check_version(Reader& reader, const ResourceDocument& document, const std::optional<Document>& stored, bool force)
{
    const std::string& named = document.spec["package"].as_string();
    const auto package = reader.package(named.substr(0, named.find('@')), named.substr(named.find('@') + 1));
    if (!package) return tl::unexpected(Refusal{package.error(), {}});
    auto warnings = check_version_state(document, *package, stored ? stored->spec["package"].as_string() : std::string());
    if (warnings && stored && !force)
        if (auto refused = rolled_back(reader, *stored, named)) return tl::unexpected(Refusal{std::move(*refused), {}});
    return warnings;
}

}  // namespace

std::optional<Error> rolled_back(Reader& reader, const Document& stored, const std::string& package)
{
    if (stored.spec["package"].as_string() == package) return std::nullopt;
    const auto last = reader.last_move(stored.uid, package);
    if (!last) return last.error();
    if (!*last || (*last)->what != "rolled_back" || (*last)->from != package) return std::nullopt;
    const VersionMove& move = **last;
    return Error{Errc::conflict, fmt::format("Deployment '{}': {} was rolled back to {} by {} at {}{}{}; --force goes to it all the same", stored.name, package, move.to, move.who,
                                             format_time(move.time), move.why.empty() ? "" : ": ", move.why)};
}

tl::expected<Checked, Refusal> check(Service& service, Reader& reader, ResourceDocument document, const std::vector<ResourceDocument>& overlay, Consent consent)
{
    Checked out;
    if (auto stored = reader.document(word(document.kind), document.name)) out.stored = std::move(*stored);
    const References references = references_in(reader, overlay);
    const Json granted_before = out.stored ? out.stored->spec["granted"] : Json();
    const Status fine = document.kind == ResourceKind::notifier && service.options.check_notifier ? service.options.check_notifier(document.spec) : Status();
    if (auto checked = check_references(document, references, granted_before, consent.accept); !checked) {
        if (!fine) checked.error().error.what += "; " + fine.error().what;   // both at once
        return tl::unexpected(std::move(checked.error()));
    }
    if (!fine) return tl::unexpected(Refusal{{fine.error().code, fmt::format("Notifier '{}': {}", document.name, fine.error().what)}, {}});
    if (auto signing = check_signing(reader, document, out.stored, overlay, consent.admin); !signing) return tl::unexpected(std::move(signing.error()));
    if (document.kind == ResourceKind::environment) {
        auto with = deployments_with(reader, document, overlay, consent.accept);
        if (!with) return tl::unexpected(std::move(with.error()));
        out.with = std::move(*with);
    }
    if (document.kind == ResourceKind::deployment) {
        auto warnings = check_version(reader, document, out.stored, consent.force);
        if (!warnings) return tl::unexpected(std::move(warnings.error()));
        out.warnings = std::move(*warnings);
    }
    if (document.kind == ResourceKind::deployment)
        if (const auto lost = lost_workflows(document, reader, references, overlay); !lost.empty())
            return tl::unexpected(Refusal{{Errc::conflict, fmt::format("Deployment '{}': {} has no workflow {}", document.name,
                                                                       document.spec["package"].as_string(), fmt::join(lost, ", "))}, {}});
    if (document.kind == ResourceKind::trigger && out.stored && !document.spec.contains("paused"))
        for (const std::string_view kept : {"paused", "pausedWhy"})
            if (const Json* value = out.stored->spec.find(kept)) document.spec.set(kept, *value);
    if (document.kind == ResourceKind::trigger)
        if (std::string warning = nobody_approves(reader, document.spec); !warning.empty()) out.warnings.push_back(std::move(warning));
    const Json bare = Json::object({{"kind", document.spec["kind"]}, {"name", document.spec["name"]}});   // of a new one the rest is news
    out.changes = differences(out.stored ? out.stored->spec : bare, document.spec);
    out.document = std::move(document);
    return out;
}

std::vector<DocumentChange> step_of(const Checked& checked)
{
    std::vector<DocumentChange> out{{std::string(word(checked.document.kind)), checked.document.name, checked.document.spec, checked.stored ? checked.stored->generation : 0}};
    for (const ChangedDeployment& each : checked.with) out.push_back({"Deployment", each.document.name, each.document.spec, each.stored.generation});
    return out;
}

std::vector<std::string> tokens_of(Reader& reader, std::string_view kind, std::string_view name)
{
    std::vector<std::string> out;
    if (kind != "Trigger" && kind != "Environment") return out;
    if (const auto tokens = reader.tokens(kind == "Trigger" ? "trigger" : "env", name))
        for (const TokenRecord& one : *tokens) out.push_back(one.id);
    return out;
}

Json texts_json(const std::vector<std::string>& texts)
{
    Json list = Json::array();
    for (const auto& item : texts) list.push(Json(item));
    return list;
}

void refuse(const Call& call, const Refusal& refusal)
{
    if (refusal.missing.empty()) return reply_error(call, refusal.error);
    reply_problem(call, protocol::status_of(refusal.error.code), refusal.error.what, "permissions", Json::object({{"missing", texts_json(refusal.missing)}}));
}

}  // namespace mill::factory
