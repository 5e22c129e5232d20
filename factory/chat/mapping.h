// factory/chat/mapping.h -- a chat trigger's `input` and `reply`: plain paths, no jq.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace mill::factory {

/// `written` as an object whose strings are templates: {order: "${ .entities.order }"}, or the same as one jq object, "${ {order: .entities.order} }", of
/// plain paths, strings with \(.path), literals and further objects and lists. Known: .text .user .conversation .memory .entities .platform.
/// Errors: invalid, with the place.
Result<Json> chat_input_template(const Json& written);

/// The job's input. A member whose path has no value is left out: what the trigger itself gives stays. Errors: as above.
Result<Json> chat_input(const Json& written, const Json& neutral);

/// A text with `${ … }`: what an input knows, and .job.uid and .job.waitingFor. Errors: invalid.
Status check_chat_reply(std::string_view reply);
Result<std::string> chat_reply(std::string_view reply, const Json& neutral, std::string_view job, std::string_view waiting_for);

}  // namespace mill::factory
