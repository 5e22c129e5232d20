// factory/notify/chat.h -- a message to a conversation, from one neutral form into what each chat platform takes.
#pragma once

#include <optional>

#include "factory/core_values.h"

namespace mill::factory {

/// {platform, method, url, headers, body (text), credentials, secret?}; nothing: this event has no message. `document` as factory/core_values.h has it.
/// A message is a text, or {text, title, subtitle, picture, buttons: [{title, value or url}], quickReplies: [{title, value}], list: [{title, subtitle, picture,
/// buttons}]}; every string in it is a template. What a platform cannot show becomes text.
/// Errors: invalid (no conversation, a value that is missing: says which).
Result<std::optional<Json>> render_chat(const Notification& notification, const Json& document);

/// Whether there is anything to say about `event`.
bool has_message(const Json& chat, const std::string& event);

/// What Slack's answer of 200 means: nothing when it is `ok`. `again`: it may go better later.
struct SlackRefusal {
    std::string why;
    bool again = false;
};
std::optional<SlackRefusal> slack_refusal(std::string_view body);

/// What is wrong with a neutral message as it is written in a document; empty: nothing.
std::string message_mistake(const Json& message);

}  // namespace mill::factory
