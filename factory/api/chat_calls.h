// factory/api/chat_calls.h -- what the handler of chat calls and `triggers show` both ask. Private to factory/api.
#pragma once

#include <string>

#include "factory/api/service.h"

namespace mill::factory::handler {

/// The signing secret of a chat trigger whose platform signs. Errors: not_found, denied (expired, of another environment), corrupt; each says what to do.
Result<std::string> chat_secret(Service& service, const Document& trigger);

/// {platform, url, credential?, problem?, refused? {time, why, count}, example}: how a chat platform calls the trigger. Null when it takes no chat calls.
Json chat_calls(Service& service, const HttpCall& http, const Document& trigger);

}  // namespace mill::factory::handler
