#include "factory/api/environment_values.h"

#include <algorithm>

#include <fmt/format.h>

#include "factory/api/references.h"

namespace mill::factory {

Json results_of(const std::vector<ChangedDeployment>& changed)
{
    Json out = Json::array();
    for (const ChangedDeployment& each : changed)
        out.push(Json::object({{"kind", "Deployment"}, {"name", each.document.name}, {"result", "changed"}, {"differences", each.changes}}));
    return out;
}

tl::expected<std::vector<ChangedDeployment>, Refusal> deployments_with(Reader& reader, const ResourceDocument& environment, const std::vector<ResourceDocument>& overlay, bool accept)
{
    std::vector<ResourceDocument> with = overlay;
    const auto is = [](ResourceKind kind, const std::string& name) { return [kind, &name](const ResourceDocument& each) { return each.kind == kind && each.name == name; }; };
    if (std::none_of(with.begin(), with.end(), is(ResourceKind::environment, environment.name))) with.push_back(environment);
    std::vector<ChangedDeployment> out;
    const auto stored = reader.documents("Deployment");
    if (!stored) return tl::unexpected(Refusal{stored.error(), {}});
    const References references = references_in(reader, with);
    for (const Document& each : *stored) {
        if (each.spec["environment"].as_string() != environment.name || std::any_of(with.begin(), with.end(), is(ResourceKind::deployment, each.name))) continue;
        ResourceDocument document{ResourceKind::deployment, each.name, each.spec};
        if (auto checked = check_references(document, references, each.spec["granted"], accept); !checked) {
            Refusal refusal = std::move(checked.error());
            refusal.error.what = fmt::format("Environment '{}': with its values {}", environment.name, refusal.error.what);
            return tl::unexpected(std::move(refusal));
        }
        Json changes = differences(each.spec, document.spec);
        if (!changes.empty()) out.push_back({std::move(document), each, std::move(changes)});
    }
    return out;
}

}  // namespace mill::factory
