#include "factory/notify/chat_teams.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/notify/platform_text.h"
#include "factory/notify/template.h"
#include "platform/base/encode.h"
#include "platform/base/text.h"
#include "platform/http_client.h"

namespace mill::factory {
namespace {

const std::string& member_of(const Json& message, const char* member) { return message[member].as_string(); }

void card_element(Json& body, Json& actions, const Json& message)
{
    const auto block = [&](const std::string& text, const char* weight) {
        if (text.empty()) return;
        Json one = Json::object({{"type", "TextBlock"}, {"text", Json(text)}, {"wrap", true}});
        if (weight != nullptr) one.set("weight", weight);
        body.push(std::move(one));
    };
    block(member_of(message, "title"), "Bolder");
    block(member_of(message, "subtitle"), nullptr);
    block(member_of(message, "text"), nullptr);
    if (!member_of(message, "picture").empty()) body.push(Json::object({{"type", "Image"}, {"url", message["picture"]}}));
    for (const char* member : {"buttons", "quickReplies"})
        for (const Json& button : message[member].as_array()) {
            // A card that a workflow posts can open a page; what is pressed otherwise reaches nobody, so it is written.
            if (!member_of(button, "url").empty()) actions.push(Json::object({{"type", "Action.OpenUrl"}, {"title", button["title"]}, {"url", button["url"]}}));
            else block("- " + member_of(button, "title"), nullptr);
        }
}

}  // namespace

Json teams_body(const Json& message, TeamsWay by)
{
    Json body = Json::array(), actions = Json::array();
    card_element(body, actions, message);
    for (const Json& element : message["list"].as_array()) card_element(body, actions, element);
    Json card = Json::object({{"$schema", "http://adaptivecards.io/schemas/adaptive-card.json"}, {"type", "AdaptiveCard"}, {"version", "1.4"}, {"body", std::move(body)}});
    if (!actions.empty()) card.set("actions", std::move(actions));
    Json attachment = Json::object({{"contentType", "application/vnd.microsoft.card.adaptive"}});
    if (by == TeamsWay::workflow) attachment.set("contentUrl", Json());   // as its documentation has it; the bot connector knows no null
    return Json::object({{"type", "message"}, {"attachments", Json::array({attachment.set("content", std::move(card))})}});
}

namespace {

/// A value that must be there.
Result<std::string> filled_line(const Json& chat, const char* member, const Json& document)
{
    const auto read = Template::parse(chat[member].as_string());
    if (!read) return fail(fmt::format("chat.{}", member), read.error());
    if (const auto missing = read->missing(document); !missing.empty()) return fail(Errc::invalid, fmt::format("chat.{}: {}; a chat call of Teams brings it", member, missing_words(missing)));
    return read->text(document);
}

std::string origin_of(const platform::Uri& uri) { return fmt::format("{}://{}", uri.scheme, uri.authority()); }

/// As Teams has it, "19:…@thread.tacv2;messageid=1", or as our chat calls have it, "19:…@thread.tacv2:1"; empty: neither.
std::string teams_id(const std::string& text)
{
    static constexpr std::string_view kMessage = ";messageid=";
    std::string ours = text;
    if (const auto at = ours.find(kMessage); at != std::string::npos) ours.replace(at, kMessage.size(), ":");
    if (!is_conversation_id(ours)) return {};
    const auto thread = ours.find('@'), message = ours.rfind(':');
    if (thread == std::string::npos || message == std::string::npos || message < thread) return ours;
    return ours.substr(0, message) + std::string(kMessage) + ours.substr(message + 1);
}

}  // namespace

Result<std::string> teams_bot_url(const Json& chat, const Json& document)
{
    auto service = filled_line(chat, "serviceUrl", document), conversation = filled_line(chat, "conversation", document);
    if (!service) return service;
    if (!conversation) return conversation;
    const auto uri = platform::parse_uri(*service);
    if (!uri) return fail("chat.serviceUrl", uri.error());
    const auto& hosts = chat["serviceHosts"].as_array();
    const auto names = [&](const Json& host) {
        const auto allowed = platform::parse_uri(host.as_string());
        return allowed && origin_of(*allowed) == origin_of(*uri);
    };
    if (std::none_of(hosts.begin(), hosts.end(), names))   // the call says where to, and the bot's token would go there
        return fail(Errc::invalid, fmt::format("chat.serviceUrl: {} is not one of the notifier's serviceHosts", origin_of(*uri)));
    if (!uri->query.empty() || uri->path.find("..") != std::string::npos) return fail(Errc::invalid, "chat.serviceUrl: has a query or '..'");
    const std::string id = teams_id(*conversation);
    if (id.empty()) return fail(Errc::invalid, fmt::format("'{}' is not a conversation of Teams", conversation->substr(0, 200)));
    std::string base = origin_of(*uri) + uri->path;
    while (base.ends_with('/')) base.pop_back();
    return fmt::format("{}/v3/conversations/{}/activities", base, percent_encode(id));
}

}  // namespace mill::factory
