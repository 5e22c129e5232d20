// factory/resources/callbacks.h -- where the callers of a trigger may be told of the end of their jobs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/base/fields.h"
#include "platform/base/json.h"

namespace mill::factory {

/// `callbacks: [ "https://HOST/PATH*" … ]` and `callbackSecret: NAME`. In the path alone `*` stands for any characters: a caller does not choose the host.
void read_callbacks(Fields& fields, Json& out);

/// What is wrong with a caller's address for a trigger (normal form), as the end of "callbackUrl …"; empty: nothing.
std::string callback_mistake(const Json& trigger, std::string_view url);

}  // namespace mill::factory
