// factory/api/run_call.h -- what a caller of a trigger sends: read, and what people get wrong explained.
#pragma once

#include <string>

#include "platform/base/json.h"

namespace mill::factory {

struct RunCall {
    Json context;   ///< invocationContext, an object
    Json input;     ///< an object
    bool trace = false;  ///< each step keeps what it got and came to
    std::string callback_url;   ///< who is told of the end
    std::string token;   ///< irpaTriggerToken, taken out of the body
};

/// Errors: invalid: unknown members, a placeholder that nobody replaced (names the place and what belongs there).
Result<RunCall> parse_run_call(const Json& body, bool sap);

/// The place (JSON pointer) of a string that is nothing but a placeholder, such as "${invocation_context}" or "{{conversation_id}}".
std::string find_placeholder(const Json& value);

/// A value that fits most schemas of this shape: defaults, examples and required members, of the right types.
Json sample_of(const Json& schema);

}  // namespace mill::factory
