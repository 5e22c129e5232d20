// factory/api/checks.h -- asks the checker, and says what came of it.
#pragma once

#include "factory/api/service.h"

namespace mill::factory {

/// Calls `then` with the schemas of a stored package: at once when they are known, else when the sandbox has read them from it.
/// False when too much waits already; `then` is not called.
bool with_input_schemas(Service& service, const std::string& digest, std::function<void(Result<InputSchemaCache::Entry>)> then);

/// 503 with what is missing when this machine can check nothing, else `status` (413 for what was too large): `what` could not be checked.
void reply_unchecked(const Call& call, std::string_view what, const Error& error, int status, std::string_view name);
void reply_checks_full(const Call& call);

}  // namespace mill::factory
