// factory/chat/answer.h -- a sentence as each chat platform shows it, and the HTTP status that it wants with it.
#pragma once

#include <string_view>

#include "factory/chat/call.h"
#include "factory/http/server.h"

namespace mill::factory {

/// 200 with `text`; empty: nothing is shown. `more`: members beside, in our own platform's answer only.
HttpReply chat_answer(ChatPlatform platform, const ChatCall& call, std::string_view text, const Json& more = {});

/// Slack's url_verification, or an event that is nothing for us: 200, and nothing happens.
HttpReply chat_acknowledgement(ChatPlatform platform, const ChatCall& call);

/// What could not be done, as a sentence. `call`: null while the body was not understood: then `status` goes out as it is. Else it is 200 where the platform shows
/// the person nothing at any other; `status` remains with our own platform, and with Slack's events when a second try may go better (5xx).
HttpReply chat_refusal(ChatPlatform platform, const ChatCall* call, int status, std::string_view sentence, std::string_view name);

}  // namespace mill::factory
