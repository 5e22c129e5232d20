#include "factory/api/version_checks.h"

#include <algorithm>

#include <fmt/format.h>

namespace mill::factory::handler {

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

}  // namespace mill::factory::handler
