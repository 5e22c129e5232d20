#include "platform/base/finding.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/printable.h"
#include "platform/base/redact.h"

namespace mill {
namespace {

constexpr std::size_t kMostFindings = 100, kMostCode = 40, kMostFindingText = 2000;

std::string cut(const std::string& text) { return one_line(std::string_view(text).substr(0, kMostFindingText)); }

}  // namespace

void Findings::add(std::string code, std::string state, std::string text, std::string fix)
{
    list_.push_back({std::move(code), std::move(state), one_line(redacted(text)), one_line(redacted(fix))});
}

bool all_well(const std::vector<Finding>& findings)
{
    return std::none_of(findings.begin(), findings.end(), [](const Finding& each) { return each.state == "error"; });
}

Json to_json(const std::vector<Finding>& findings)
{
    Json list = Json::array();
    for (const Finding& each : findings) list.push(Json::object({{"check", each.code}, {"state", each.state}, {"text", each.text}, {"fix", each.fix}}));
    return list;
}

Result<std::vector<Finding>> parse_findings(const Json& list)
{
    if (!list.is_array()) return fail(Errc::invalid, "checks: must be a list");
    if (list.size() > kMostFindings) return fail(Errc::invalid, fmt::format("checks: {} are more than {}", list.size(), kMostFindings));
    std::vector<Finding> out;
    for (const Json& each : list.as_array()) {
        const std::string& code = each["check"].as_string();
        const std::string& state = each["state"].as_string();
        const bool named = !code.empty() && code.size() <= kMostCode && code.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
        if (!named) return fail(Errc::invalid, fmt::format("checks: the code of number {} must be small letters, digits and '-', at most {}", out.size() + 1, kMostCode));
        if (state != "ok" && state != "warning" && state != "error") return fail(Errc::invalid, fmt::format("checks: the state of '{}' must be ok, warning or error", code));
        out.push_back({code, state, cut(each["text"].as_string()), cut(each["fix"].as_string())});
    }
    return out;
}

}  // namespace mill
