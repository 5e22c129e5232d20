#include "workflows/check/check.h"

#include <algorithm>
#include <set>

#include "platform/base/text.h"
#include "workflows/check/analysis.h"

namespace mill::workflows {
namespace {

void sort(std::vector<Finding>& findings)
{
    std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
        return std::tie(a.file, a.mark.line, a.mark.column) < std::tie(b.file, b.mark.line, b.mark.column);
    });
}

}  // namespace

Analysis::Analysis(const Package& of) : package(of), lone(!of.assets.contains("package.yaml"))
{
    std::set<const Document*> seen;
    for (const auto& [name, document] : package.workflows)
        if (document && seen.insert(document.get()).second) documents.push_back(document.get());
    if (lone) return;
    if (Result<YamlDocument> yaml = parse_yaml(package.assets.at("package.yaml"))) manifest_ = std::move(*yaml);
}

void Analysis::add(Finding::Level level, std::string_view code, const std::string& file, const Marks& marks, std::string_view pointer, std::string text)
{
    out_.findings.push_back({level, file, nearest_mark(marks, pointer), std::move(text), std::string(code)});
}

void Analysis::remedy(std::string file, std::vector<std::string> path, Json item, std::string member)
{
    Remedy made{std::move(file), std::move(path), std::move(member), std::move(item)};
    if (std::find(out_.remedies.begin(), out_.remedies.end(), made) == out_.remedies.end()) out_.remedies.push_back(std::move(made));
}

Checked Analysis::take()
{
    sort(out_.findings);
    return std::move(out_);
}

void each_text(const Json& value, const std::string& pointer, std::string_view key,
               const std::function<void(const std::string&, const std::string&, std::string_view)>& look)
{
    if (value.is_string()) look(value.as_string(), pointer, key);
    for (const auto& [name, member] : value.as_object()) each_text(member, pointer + "/" + escape_pointer(name), name, look);
    for (std::size_t i = 0; i < value.as_array().size(); ++i) each_text(value[i], pointer + "/" + std::to_string(i), key, look);
}

std::string_view expression_inside(std::string_view text)
{
    const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\t'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    if (!text.starts_with("${") || !text.ends_with("}")) return {};
    text = text.substr(2, text.size() - 3);
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

Checked check(const Package& package)
{
    Analysis analysis(package);
    check_asks(analysis);
    check_flow(analysis);
    check_names(analysis);
    check_permissions(analysis);
    check_reveal(analysis);
    check_secrets(analysis);
    check_shapes(analysis);
    check_spellings(analysis);
    return analysis.take();
}

void check_into(Package& package)
{
    Checked checked = check(package);
    for (Finding& finding : checked.findings) package.findings.push_back(std::move(finding));
    sort(package.findings);
}

}  // namespace mill::workflows
