#include "factory/check/report.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/fields.h"

namespace mill::factory {
namespace {

constexpr std::size_t kDeepest = 100;     // a manifest has 32 levels, a schema 64
constexpr std::size_t kMostFindings = 201;   // 200 and the line that counts the rest
constexpr std::size_t kMostMistakes = 20;

Result<Json> read(std::string_view text)
{
    auto json = parse_json(text, {kMostReport, kDeepest});
    if (!json) return fail(Errc::corrupt, fmt::format("the check's report is not to be read: {}", one_line(json.error().what, 200)));
    const Json& error = (*json)["error"];
    if (!error.is_object()) return json;
    return fail(error["code"] == Json(name(Errc::too_large)) ? Errc::too_large : Errc::corrupt, one_line(error["text"].as_string()));
}

CheckedPackage::Finding read_finding(const Json& json)
{
    const bool error = !(json["level"] == Json("warning"));
    return {error, fmt::format("{}:{}:{}: {}{}", one_line(json["file"].as_string()), json["line"].as_integer(), json["column"].as_integer(),
                               error ? "" : "warning: ", one_line(json["text"].as_string()))};
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; }

/// What is not as it must be; empty when all is.
std::string wrong_inputs(const Json& inputs, const workflows::Manifest& manifest)
{
    if (!inputs.is_object()) return "inputs is no object";
    for (const auto& [name, schema] : inputs.as_object()) {
        if (!manifest.workflows.contains(name)) return "inputs names a workflow that the manifest has not";
        if (!schema.is_null() && !schema.is_bool() && !schema.is_object()) return "an input schema is no schema";
    }
    return {};
}

}  // namespace

std::string one_line(std::string_view text, std::size_t most)
{
    std::string out(text.substr(0, most));
    const bool cut = out.size() < text.size();
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    if (cut && is_continuation(text[most])) {
        while (!out.empty() && is_continuation(out.back())) out.pop_back();
        if (!out.empty()) out.pop_back();
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return cut ? out + "…" : out;
}

Result<CheckedPackage> parse_package_report(std::string_view text)
{
    auto json = read(text);
    if (!json) return json.error().what.starts_with("the check's report") ? fail(json.error()) : fail("not a package", json.error());
    if (!(*json)["valid"].is_bool() || !(*json)["findings"].is_array()) return fail(Errc::corrupt, "the check's report is not to be read: it says neither valid nor findings");
    CheckedPackage out;
    out.valid = (*json)["valid"].as_bool();
    for (const Json& finding : (*json)["findings"].as_array()) {
        if (out.findings.size() == kMostFindings) break;
        out.findings.push_back(read_finding(finding));
    }
    const bool errors = std::any_of(out.findings.begin(), out.findings.end(), [](const auto& finding) { return finding.error; });
    if (!out.valid && !errors) return fail(Errc::corrupt, "the check's report is not to be read: not valid, and no finding says why");
    if (!out.valid) return out;
    if (errors) return fail(Errc::corrupt, "the check's report is not to be read: valid, and a finding is an error");
    auto manifest = workflows::parse_manifest((*json)["manifest"]);
    if (!manifest) return fail(Errc::corrupt, fmt::format("the check's report is not to be read: manifest: {}", one_line(manifest.error().what)));
    out.manifest = std::move(*manifest);
    out.inputs = (*json)["inputs"];
    if (const std::string wrong = wrong_inputs(out.inputs, out.manifest); !wrong.empty())
        return fail(Errc::corrupt, fmt::format("the check's report is not to be read: {}", wrong));
    return out;
}

Result<std::vector<std::string>> parse_input_report(std::string_view text)
{
    auto json = read(text);
    if (!json) return fail(json.error());
    if (!(*json)["mistakes"].is_array()) return fail(Errc::corrupt, "the check's report is not to be read: it has no mistakes");
    std::vector<std::string> out;
    for (const Json& mistake : (*json)["mistakes"].as_array()) {
        if (out.size() == kMostMistakes) break;
        out.push_back(one_line(mistake.as_string()));
    }
    return out;
}

}  // namespace mill::factory
