// factory/api/chat_calls.h -- what the handlers of chat calls and signed webhooks, and `triggers show` both ask. Private to factory/api.
#pragma once

#include <string>

#include "factory/api/service.h"
#include "factory/chat/call.h"

namespace mill::factory::handler {

/// The signing secret of a chat trigger whose platform signs. Errors: not_found, denied (expired, of another environment), corrupt; each says what to do.
Result<std::string> chat_secret(Service& service, const Document& trigger);

/// The same of any credential of kind hmac that a trigger names: a signed webhook's.
Result<std::string> signing_secret(Service& service, const Document& trigger, const std::string& credential);

/// Takes what was said as the answer to an open question of its conversation, and says what came of it. False: there is none that it could mean.
bool answer_in_chat(Service& service, const CallPtr& call, const Document& trigger, ChatPlatform platform, const std::shared_ptr<const ChatCall>& said);
/// Of an event that comes again; empty: it has no id.
std::string event_key(ChatPlatform platform, const std::string& id);
/// What must be the same when it does. The platform's id says so; who makes ids as they like is told when two events have one.
std::string event_fingerprint(ChatPlatform platform, const ChatCall& said);

/// {platform, url, credential?, problem?, refused? {time, why, count}, example}: how a chat platform calls the trigger. Null when it takes no chat calls.
Json chat_calls(Service& service, const HttpCall& http, const Document& trigger);

/// {signature, url, credential, problem?, refused?, example} of a trigger that a signed webhook starts; `body`: of the example, quoted for a shell. Null of another.
Json hook_calls(Service& service, const HttpCall& http, const Document& trigger, const std::string& body);

}  // namespace mill::factory::handler
