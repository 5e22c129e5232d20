// `check` and `--fix` over a package: package.yaml, a line of three dashes, a workflow. What is put in is there when it is read
// again, and putting it in twice changes nothing.
#include <cstdint>
#include <string_view>

#include "workflows/check/insert.h"
#include "workflows/loader.h"
#include "workflows/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace mill;
    if (size > 20'000) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto cut = std::min(text.find("\n---\n"), text.size());
    workflows::Package package;
    package.assets["package.yaml"] = std::string(text.substr(0, cut));
    package.assets["flow.yaml"] = std::string(cut == text.size() ? std::string_view() : text.substr(cut + 5));
    if (const auto yaml = parse_yaml(package.assets["package.yaml"])) package.manifest = workflows::read_manifest(yaml->value, [](const std::string&, std::string) {});
    package.workflows["main"] = workflows::load_document(package.assets["flow.yaml"], "flow.yaml", {}, package.findings);
    const workflows::Checked checked = workflows::check(package);
    for (const auto& finding : checked.findings) mill::check(finding.mark.line > 0 && !finding.text.empty() && !finding.code.empty(), "a finding without a place or code");
    std::map<std::string, std::string> files;
    for (const workflows::Remedy& remedy : checked.remedies) {
        std::string& file = files.emplace(remedy.file, package.assets[remedy.file]).first->second;
        const auto once = workflows::insert(file, remedy);
        if (!once) continue;
        const auto twice = workflows::insert(*once, remedy);
        mill::check(twice && *twice == *once, "a remedy is not found again");
        file = *once;
    }
    return 0;
}
