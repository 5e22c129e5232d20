#include "factory/api/references.h"

#include <algorithm>

namespace mill::factory {

References references_in(Reader& reader, const std::vector<ResourceDocument>& overlay)
{
    References out;
    out.spec = [&reader, &overlay](ResourceKind kind, std::string_view name) -> Json {
        for (const auto& each : overlay)
            if (each.kind == kind && each.name == name) return each.spec;
        const auto stored = reader.document(word(kind), name);
        return stored ? stored->spec : Json();
    };
    out.has = [spec = out.spec](ResourceKind kind, std::string_view name) { return !spec(kind, name).is_null(); };
    out.manifest = [&reader](std::string_view package, std::string_view version) -> std::optional<workflows::Manifest> {
        const auto stored = reader.package(package, version);
        if (!stored) return std::nullopt;
        auto manifest = workflows::parse_manifest(stored->manifest);
        return manifest ? std::optional(std::move(*manifest)) : std::nullopt;
    };
    out.versions = [&reader](std::string_view package) {
        std::vector<std::string> versions;
        if (const auto all = reader.packages())
            for (const auto& each : *all)
                if (each.name == package) versions.push_back(each.version);
        return versions;
    };
    out.credential_kind = [&reader](std::string_view credential) -> std::optional<std::string> {
        const auto stored = reader.credential(credential);
        return stored ? std::optional(stored->about["kind"].as_string()) : std::nullopt;
    };
    out.triggers = [&reader, &overlay] {
        std::vector<Json> specs;
        for (const auto& each : overlay)
            if (each.kind == ResourceKind::trigger) specs.push_back(each.spec);
        const std::size_t given = specs.size();
        if (const auto stored = reader.documents("Trigger"))
            for (const Document& document : *stored)
                if (std::none_of(specs.begin(), specs.begin() + static_cast<std::ptrdiff_t>(given), [&](const Json& each) { return each["name"].as_string() == document.name; }))
                    specs.push_back(document.spec);
        return specs;
    };
    out.credential_on_machine = [&reader](std::string_view credential) {
        const auto stored = reader.credential(credential);
        return stored && stored->about["held"].as_string() == "machine";
    };
    return out;
}

}  // namespace mill::factory
