#include "factory/chat/call.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "factory/http/form.h"
#include "factory/notify/platform_text.h"
#include "platform/base/fields.h"
#include "platform/base/text.h"

namespace mill::factory {
namespace {

constexpr std::size_t kLongestText = 40'000;      // Slack's longest message
constexpr std::size_t kLongestId = 200, kDepth = 32;
constexpr std::size_t kLargestMemory = 256 * 1024;

std::string_view media_type(std::string_view type)
{
    type = type.substr(0, type.find(';'));
    while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
    return type;
}

bool is_form(std::string_view type) { return lower_case(media_type(type)) == "application/x-www-form-urlencoded"; }

std::string trimmed(std::string text)
{
    const auto begin = text.find_first_not_of(" \t\r\n"), end = text.find_last_not_of(" \t\r\n");
    return begin == std::string::npos ? std::string() : text.substr(begin, end - begin + 1);
}

/// In one pass: what comes out of one is not read again.
void unescape(std::string& text)
{
    constexpr std::pair<std::string_view, char> kSigns[] = {{"&nbsp;", ' '}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}, {"&amp;", '&'}};
    std::string out;
    out.reserve(text.size());
    for (std::string_view rest = text; !rest.empty();) {
        const auto sign = std::find_if(std::begin(kSigns), std::end(kSigns), [&](const auto& each) { return rest.starts_with(each.first); });
        out += sign == std::end(kSigns) ? rest.front() : sign->second;
        rest.remove_prefix(sign == std::end(kSigns) ? 1 : sign->first.size());
    }
    text = std::move(out);
}

ChatCall ignored(std::string why)
{
    ChatCall out;
    out.kind = ChatCall::Kind::ignored;
    out.why = std::move(why);
    return out;
}

struct Said {
    std::string text, conversation, user, user_name;
    Json memory = Json::object(), entities = Json::object();
};

/// The neutral form of `said`, when it is within its bounds. `where`: what the platform calls the conversation.
Result<ChatCall> message(ChatPlatform platform, Said said, std::string id, std::string_view where)
{
    if (said.conversation.empty()) return fail(Errc::invalid, fmt::format("the body has no '{}': it says which conversation the call is from", where));
    if (!is_conversation_id(said.conversation)) {
        const bool placeholder = said.conversation.find("{{") != std::string::npos || said.conversation.find("${") != std::string::npos;
        return fail(Errc::invalid, fmt::format("'{}' is '{}', which is no conversation id (1 to 200 of A-Z a-z 0-9 . _ : @ -){}", where, said.conversation.substr(0, kLongestId),
                                               placeholder ? ": a placeholder that was sent as it stands" : ""));
    }
    if (said.text.size() > kLongestText) return fail(Errc::too_large, fmt::format("the text has {} bytes, at most {} are taken", said.text.size(), kLongestText));
    if (said.user.size() > kLongestId || said.user_name.size() > 4 * kLongestId) return fail(Errc::too_large, "the user's id or name is too long");
    if (!said.memory.is_object() || !said.entities.is_object()) return fail(Errc::invalid, "memory and entities must be objects");
    if (dump_json(said.memory).size() > kLargestMemory || dump_json(said.entities).size() > kLargestMemory)
        return fail(Errc::too_large, fmt::format("memory or entities have more than {} KiB", kLargestMemory / 1024));
    ChatCall out;
    out.id = std::move(id);
    Json user = Json::object();
    if (!said.user.empty()) user.set("id", Json(said.user));
    if (!said.user_name.empty()) user.set("name", Json(said.user_name));
    out.neutral = Json::object({{"text", Json(said.text)}, {"user", user}, {"conversation", Json(said.conversation)}, {"memory", std::move(said.memory)},
                                {"entities", std::move(said.entities)}, {"platform", Json(name(platform))}});
    out.context = Json::object({{"conversationId", Json(said.conversation)}, {"platform", Json(name(platform))}, {"user", user},
                                {"replyTo", Json::object({{"conversation", Json(said.conversation)}})}});
    return out;
}

// --- SAP Conversational AI -------------------------------------------------------------------------------------------------------------

/// {order: [{raw, value, confidence}]} as {order: value}; what has no value of its own says how it was said.
Json sap_entities(const Json& given)
{
    Json out = Json::object();
    for (const auto& [name, hits] : given.as_object()) {
        const Json& first = hits.is_array() ? hits[std::size_t{0}] : hits;
        if (first.is_null()) continue;
        out.set(name, first["value"].is_null() ? first["raw"].is_null() ? first : first["raw"] : first["value"]);
    }
    return out;
}

Result<ChatCall> read_sap(const Json& body)
{
    const Json &conversation = body["conversation"], &nlp = body["nlp"];
    Said said;
    said.conversation = conversation["id"].as_string();
    said.text = nlp["source"].as_string();
    if (conversation["memory"].is_object()) said.memory = conversation["memory"];
    said.entities = sap_entities(nlp["entities"]);
    auto out = message(ChatPlatform::sap_cai, std::move(said), nlp["uuid"].as_string(), "conversation.id");
    if (!out) return out;
    out->conversation = Json::object();
    if (conversation["language"].is_string()) out->conversation.set("language", conversation["language"]);
    if (conversation["memory"].is_object()) out->conversation.set("memory", conversation["memory"]);
    return out;
}

// --- Slack ------------------------------------------------------------------------------------------------------------------------------

Result<ChatCall> read_slack_command(std::string_view body)
{
    const Form form(body);
    if (form["command"].empty()) return fail(Errc::invalid, "the form has no 'command': of forms, only slash commands are taken");
    Said said{form["text"], form["channel_id"], form["user_id"], form["user_name"]};
    auto out = message(ChatPlatform::slack, std::move(said), form["trigger_id"], "channel_id");
    if (!out) return out;
    out->context.set("replyTo", Json::object({{"channel", Json(form["channel_id"])}})).set("command", Json(form["command"].substr(0, kLongestId)));
    return out;
}

/// A message may come as two events, `message` and `app_mention`, each with an id of its own: what names it is its channel and time.
Result<ChatCall> read_slack_event(const Json& body)
{
    const std::string& type = body["type"].as_string();
    if (type == "url_verification") {
        ChatCall out;
        out.kind = ChatCall::Kind::challenge;
        out.challenge = body["challenge"].as_string();
        if (out.challenge.empty() || out.challenge.size() > 1000) return fail(Errc::invalid, "url_verification has no 'challenge'");
        return out;
    }
    if (type != "event_callback") return fail(Errc::invalid, fmt::format("'type' is '{}', expected event_callback or url_verification", type.substr(0, 100)));
    const Json& event = body["event"];
    const std::string &kind = event["type"].as_string(), &subtype = event["subtype"].as_string();
    if (kind.empty()) return fail(Errc::invalid, "the body has no 'event.type'");
    if (kind != "message" && kind != "app_mention") return ignored(fmt::format("an event of type {}", kind.substr(0, 100)));
    // Our own answer comes back as an event, too: to take it would never end.
    if (!event["bot_id"].is_null() || !event["bot_profile"].is_null() || event["user"].as_string().empty()) return ignored("what a bot said");
    if (!subtype.empty() && subtype != "file_share" && subtype != "thread_broadcast") return ignored(fmt::format("a message of subtype {}", subtype.substr(0, 100)));
    const std::string &channel = event["channel"].as_string(), &ts = event["ts"].as_string();
    if (channel.empty() || ts.empty()) return fail(Errc::invalid, "the body has no 'event.channel' or 'event.ts'");
    const std::string thread = event["thread_ts"].as_string().empty() ? ts : event["thread_ts"].as_string();
    Said said;
    said.text = event["text"].as_string();
    if (kind == "app_mention" && said.text.starts_with("<@"))   // whom it is said to is no part of what is said
        if (const auto end = said.text.find('>'); end != std::string::npos) said.text.erase(0, end + 1);
    unescape(said.text);
    said.text = trimmed(std::move(said.text));
    said.conversation = fmt::format("{}:{}", channel, thread);
    said.user = event["user"].as_string();
    auto out = message(ChatPlatform::slack, std::move(said), fmt::format("{}:{}", channel, ts), "event.channel and event.ts");
    if (!out) return out;
    out->context.set("replyTo", Json::object({{"channel", Json(channel)}, {"thread", Json(thread)}}));
    out->answer_is_shown = false;
    return out;
}

// --- Teams ------------------------------------------------------------------------------------------------------------------------------

/// "19:…@thread.tacv2;messageid=148…" is the channel and the message that began the thread: written here as Slack's are, CHANNEL:MESSAGE.
std::string teams_conversation(const std::string& id)
{
    static constexpr std::string_view kMessage = ";messageid=";
    const auto at = id.find(kMessage);
    return at == std::string::npos ? id : id.substr(0, at) + ":" + id.substr(at + kMessage.size());
}

Result<ChatCall> read_teams(const Json& body)
{
    const std::string& type = body["type"].as_string();
    if (type.empty()) return fail(Errc::invalid, "the body has no 'type'");
    const std::string &conversation = body["conversation"]["id"].as_string(), &id = body["id"].as_string();
    ChatCall none = ignored(fmt::format("an activity of type {}", type.substr(0, 100)));
    none.time = body["timestamp"].as_string();
    if (type != "message") return none;
    if (id.empty()) return fail(Errc::invalid, "the body has no 'id'");
    Said said;
    said.text = body["text"].as_string();
    std::string before = trimmed(said.text.substr(0, 40));
    if (const auto end = said.text.find("</at>"); before.starts_with("<at>") && end != std::string::npos) said.text.erase(0, end + 5);
    unescape(said.text);
    said.text = trimmed(std::move(said.text));
    said.conversation = teams_conversation(conversation);
    const Json& from = body["from"];
    said.user = from["aadObjectId"].as_string().empty() ? from["id"].as_string() : from["aadObjectId"].as_string();
    said.user_name = from["name"].as_string();
    auto out = message(ChatPlatform::teams, std::move(said), fmt::format("{}:{}", teams_conversation(conversation), id), "conversation.id");
    if (!out) return out;
    out->time = body["timestamp"].as_string();
    Json reply = Json::object({{"conversation", Json(conversation)}, {"activity", Json(id)}});
    if (body["serviceUrl"].is_string()) reply.set("serviceUrl", body["serviceUrl"]);
    out->context.set("replyTo", std::move(reply));
    return out;
}

// --- Rasa: a custom action --------------------------------------------------------------------------------------------------------------

Result<ChatCall> read_rasa(const Json& body)
{
    const std::string& action = body["next_action"].as_string();
    if (action.empty()) return fail(Errc::invalid, "the body has no 'next_action': expected what Rasa sends to an action server");
    const Json &tracker = body["tracker"], &latest = tracker["latest_message"];
    Said said;
    said.conversation = body["sender_id"].as_string().empty() ? tracker["sender_id"].as_string() : body["sender_id"].as_string();
    said.user = said.conversation;
    said.text = latest["text"].as_string();
    if (tracker["slots"].is_object()) said.memory = tracker["slots"];
    for (const Json& entity : latest["entities"].as_array())
        if (const std::string& name = entity["entity"].as_string(); !name.empty() && !said.entities.contains(name)) said.entities.set(name, entity["value"]);
    // One message may lead to several actions, and each is a call of its own.
    const std::string& sent = latest["message_id"].as_string();
    std::string id = sent.empty() ? std::string() : fmt::format("{}:{}:{}", said.conversation, sent, action);
    auto out = message(ChatPlatform::rasa, std::move(said), std::move(id), "sender_id");
    if (out) out->context.set("action", Json(action.substr(0, kLongestId)));
    return out;
}

// --- Botpress: a message of its Runtime API -----------------------------------------------------------------------------------------------

Result<ChatCall> read_botpress(const Json& whole)
{
    const Json& body = whole["message"].is_object() ? whole["message"] : whole;
    if (body["direction"].as_string() == "outgoing") return ignored("what the bot said");
    Said said;
    said.conversation = body["conversationId"].as_string();
    said.user = body["userId"].as_string();
    const Json& payload = body["payload"];
    said.text = payload["text"].is_string() ? payload["text"].as_string() : payload["value"].as_string();
    if (whole["memory"].is_object()) said.memory = whole["memory"];
    if (whole["entities"].is_object()) said.entities = whole["entities"];
    return message(ChatPlatform::botpress, std::move(said), body["id"].as_string(), "conversationId");
}

// --- our own ----------------------------------------------------------------------------------------------------------------------------

Result<ChatCall> read_webhook(const Json& body)
{
    Fields fields(body, "the body");
    Said said;
    said.text = fields.text("text", "");
    said.conversation = fields.text("conversation");
    const Json user = fields.any("user", Json::object());
    if (user.is_string()) {
        said.user = user.as_string();
    } else {
        Fields inner(user, "the body, user");
        said.user = inner.text("id", "");
        said.user_name = inner.text("name", "");
        if (auto done = inner.done(); !done) fields.mistake("user", done.error().what);
    }
    said.memory = fields.object("memory", Json::object());
    said.entities = fields.object("entities", Json::object());
    std::string id = fields.text("id", "");
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return message(ChatPlatform::webhook, std::move(said), std::move(id), "conversation");
}

}  // namespace

bool takes_type(ChatPlatform platform, std::string_view content_type)
{
    const std::string type = lower_case(media_type(content_type));
    if (platform == ChatPlatform::slack && is_form(content_type)) return true;
    return type == "application/json" || (type.starts_with("application/") && type.ends_with("+json"));
}

Result<ChatCall> read_chat_call(ChatPlatform platform, std::string_view content_type, std::string_view body)
{
    // The header is not signed: an event that is said to be a form stays an event.
    if (platform == ChatPlatform::slack && is_form(content_type)) {
        if (body.find_first_of("{[") != std::string_view::npos) return fail(Errc::invalid, "the body is said to be a form, and is none: a form has its braces percent-encoded");
        return read_slack_command(body);
    }
    const auto json = parse_json(body, {.bytes = body.size(), .depth = kDepth, .exact = true});
    if (!json) return fail("the body is not acceptable JSON", json.error());
    if (!json->is_object()) return fail(Errc::invalid, fmt::format("the body must be an object, found {}", json->kind_name()));
    switch (platform) {
    case ChatPlatform::sap_cai: return read_sap(*json);
    case ChatPlatform::slack: return read_slack_event(*json);
    case ChatPlatform::teams: return read_teams(*json);
    case ChatPlatform::rasa: return read_rasa(*json);
    case ChatPlatform::botpress: return read_botpress(*json);
    case ChatPlatform::webhook: return read_webhook(*json);
    }
    return fail(Errc::invalid, "a platform without a reader");
}

}  // namespace mill::factory
