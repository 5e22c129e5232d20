// factory/resources/trigger_parts.h -- the parts of a trigger's document that have a file of their own.
#pragma once

#include "factory/resources/resource.h"
#include "platform/base/fields.h"

namespace mill::factory {

/// {by: ["role:operator", "user:NAME", "token:ID", "chat:USER", "conversation"], within}; `chat`: the trigger takes calls of a chat.
Json read_approval(Fields& top, bool chat);

/// ["user:NAME", "role:operator"…]: who may start it, at least one.
Json read_assigned(Fields& top);

constexpr std::size_t kMostLocks = 8;
/// Puts `locks`: names of locks of the environment, sorted; left out when there are none.
void read_locks(Fields& top, Json& out);

/// {job: {trigger or deployment, on: [EVENT…]}, input} or {webhook: {signature, credentials}, input} or {file: {agent or group, path, settled, settledMs, anywhere?}, input}
Json read_event(Fields& top);

/// What `event` refers to, and that triggers do not start each other in a circle. Errors: conflict.
tl::expected<void, Refusal> check_event(const ResourceDocument& trigger, const References& references);

}  // namespace mill::factory
