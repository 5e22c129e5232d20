#include "factory/chat/answer.h"
#include "factory/notify/platform_text.h"

#include <fmt/format.h>

namespace mill::factory {
namespace {

constexpr std::size_t kLongestAnswer = 3000;

/// Whole characters, so that nothing broken is shown.
std::string shortened(std::string_view text)
{
    if (text.size() <= kLongestAnswer) return std::string(text);
    std::size_t end = kLongestAnswer - 3;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    return std::string(text.substr(0, end)) + "…";
}

Json shown(ChatPlatform platform, const ChatCall* call, const std::string& text)
{
    switch (platform) {
    case ChatPlatform::sap_cai: {
        Json replies = Json::array();
        if (!text.empty()) replies.push(Json::object({{"type", "text"}, {"content", Json(text)}}));
        Json out = Json::object({{"replies", std::move(replies)}});
        if (call != nullptr && call->conversation.is_object()) out.set("conversation", call->conversation);
        return out;
    }
    case ChatPlatform::slack:
        if (call != nullptr && !call->answer_is_shown) return Json::object();
        // Only who typed the command sees it.
        return Json::object({{"response_type", "ephemeral"}, {"text", Json(slack_escaped(text))}});
    case ChatPlatform::teams: return Json::object({{"type", "message"}, {"text", Json(text)}});
    case ChatPlatform::rasa: {
        Json responses = Json::array();
        if (!text.empty()) responses.push(Json::object({{"text", Json(text)}}));
        return Json::object({{"events", Json::array()}, {"responses", std::move(responses)}});
    }
    case ChatPlatform::botpress: return Json::object({{"type", "text"}, {"payload", Json::object({{"text", Json(text)}})}});
    case ChatPlatform::webhook: return Json::object({{"text", Json(text)}});
    }
    return Json::object();
}

HttpReply with(int status, const Json& body)
{
    HttpReply out;
    out.status = status;
    out.body = dump_json(body);
    return out;
}

}  // namespace

HttpReply chat_answer(ChatPlatform platform, const ChatCall& call, std::string_view text, const Json& more)
{
    if (text.empty() && platform == ChatPlatform::slack) {   // an empty text would be shown as one
        HttpReply out;
        out.content_type = "text/plain";
        return out;
    }
    Json body = shown(platform, &call, shortened(text));
    if (platform == ChatPlatform::webhook)
        for (const auto& [key, value] : more.as_object()) body.set(key, value);
    return with(200, body);
}

HttpReply chat_acknowledgement(ChatPlatform platform, const ChatCall& call)
{
    if (call.kind == ChatCall::Kind::challenge) return with(200, Json::object({{"challenge", Json(call.challenge)}}));
    return chat_answer(platform, call, "");
}

HttpReply chat_refusal(ChatPlatform platform, const ChatCall* call, int status, std::string_view sentence, std::string_view name)
{
    Json body = shown(platform, call, shortened(sentence));
    if (platform == ChatPlatform::webhook)
        body.set("error", Json::object({{"status", status}, {"code", Json(name.empty() ? std::to_string(status) : std::string(name))}}));
    const bool event = platform == ChatPlatform::slack && call != nullptr && !call->answer_is_shown;
    const bool real = call == nullptr || platform == ChatPlatform::webhook || (event && status >= 500);
    return with(real ? status : 200, body);
}

}  // namespace mill::factory
