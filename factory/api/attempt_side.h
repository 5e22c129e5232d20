// factory/api/attempt_side.h -- calls that bear an attempt's token.
#pragma once

#include <optional>

#include "factory/api/handlers.h"

namespace mill::factory::handler {

/// What the token of the call opens; nothing when it opens nothing: 401 was answered then.
std::optional<AttemptAccess> attempt_of(Service& service, const Call& call);

}  // namespace mill::factory::handler
