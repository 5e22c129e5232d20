#include <algorithm>

#include <fmt/format.h>

#include "factory/agents/identity.h"
#include "factory/resources/trigger_parts.h"
#include "platform/base/clock.h"

namespace mill::factory {
namespace {

constexpr std::size_t kMostApprovers = 100, kLongestApprover = 200;
constexpr std::string_view kForms = "operator (or another role), user:NAME, token:ID, chat:USER or conversation";

/// In its long form; empty: it is none.
std::string approver(const std::string& text)
{
    if (parse_role(text)) return "role:" + text;
    if (text == "conversation") return text;
    const auto colon = text.find(':');
    if (colon == std::string::npos || colon + 1 == text.size() || text.size() > kLongestApprover) return {};
    const std::string kind = text.substr(0, colon), rest = text.substr(colon + 1);
    if (kind == "role") return parse_role(rest) ? text : std::string();
    return kind == "user" || kind == "token" || kind == "chat" ? text : std::string();
}

}  // namespace

Json read_approval(Fields& top, bool chat)
{
    Fields fields(top.object("approval"), "approval");
    Json by = Json::array();
    const auto given = fields.texts("by");
    if (given.empty()) fields.mistake("by", fmt::format("must name who may approve: {}", kForms));
    if (given.size() > kMostApprovers) fields.mistake("by", fmt::format("names {}, at most {} are taken", given.size(), kMostApprovers));
    for (const std::string& text : given) {
        std::string one = approver(text);
        if (one.empty()) fields.mistake("by", fmt::format("has '{}', expected {}", text.substr(0, kLongestApprover), kForms));
        else if (!chat && (one == "conversation" || one.starts_with("chat:"))) fields.mistake("by", fmt::format("has '{}': the trigger takes no calls of a chat (`chat`)", text));
        else if (std::none_of(by.as_array().begin(), by.as_array().end(), [&](const Json& known) { return known.as_string() == one; })) by.push(Json(std::move(one)));
    }
    const std::string text = fields.text("within", "24h");
    const auto within = parse_duration(text);
    constexpr Milliseconds kLongestWithin = std::chrono::hours(24 * 366);
    if (!within || *within < Milliseconds(1000) || *within > kLongestWithin) fields.mistake("within", fmt::format("must be a duration from 1s to 366d, such as 24h; found '{}'", text));
    Json out = Json::object({{"by", std::move(by)}, {"within", Json(within ? format_duration(*within) : text)}});
    if (auto done = fields.done(); !done) top.mistake("approval", done.error().what);
    return out;
}

Json read_assigned(Fields& top)
{
    Json out = Json::array();
    const auto given = top.texts("assignedTo");
    if (given.empty()) top.mistake("assignedTo", "must name who may start it: user:NAME, or a role such as operator");
    if (given.size() > kMostApprovers) top.mistake("assignedTo", fmt::format("names {}, at most {} are taken", given.size(), kMostApprovers));
    for (const std::string& text : given) {
        std::string one = approver(text);
        if (!one.starts_with("user:") && !one.starts_with("role:")) top.mistake("assignedTo", fmt::format("has '{}', expected user:NAME, or a role such as operator", text.substr(0, kLongestApprover)));
        else out.push(Json(std::move(one)));
    }
    return out;
}

}  // namespace mill::factory
