// factory/chat/call.h -- what a chat platform sends when a person says something, in one neutral form.
#pragma once

#include <string>
#include <string_view>

#include "factory/chat/platform.h"
#include "platform/base/json.h"

namespace mill::factory {

struct ChatCall {
    enum class Kind {
        message,     ///< somebody said something
        challenge,   ///< Slack asks whether the address is ours: `challenge` is what it wants to see again
        ignored,     ///< nothing for a job, such as what a bot said: `why`
    } kind = Kind::message;
    std::string challenge, why;
    std::string id;           ///< the platform's own of this event, the same when it is sent again; empty: it has none
    std::string time;         ///< as the body says it (Teams); else empty
    Json neutral;             ///< {text, user: {id, name?}, conversation, memory, entities: {NAME: first value}, platform}
    Json context;             ///< invocationContext: {conversationId, platform, user, replyTo, …}
    Json conversation;        ///< of SAP Conversational AI, {language, memory}: its answer says them again
    bool answer_is_shown = true;   ///< the person sees what the call is answered; not so with Slack's events
};

/// application/json, or application/x-www-form-urlencoded for Slack's slash commands.
bool takes_type(ChatPlatform platform, std::string_view content_type);

/// Errors: invalid (what is missing or wrong, and where), too_large (depth, or a member beyond its cap). `body` has been authenticated.
Result<ChatCall> read_chat_call(ChatPlatform platform, std::string_view content_type, std::string_view body);

}  // namespace mill::factory
