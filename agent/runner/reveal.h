// agent/runner/reveal.h -- secrets that a command is to be given: which it asks for, and the putting in.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "agent/runner/commands.h"
#include "platform/base/json.h"
#include "platform/base/redact.h"

namespace mill::runner {

/// The NAME.FIELD of each secret that the environment and the standard input of a command hold, once each. `with` as the interpreter
/// asks for a command. Errors: authorization (one stands elsewhere, or is not in `reveal`), validation (a handle that was cut).
Outcome<std::vector<std::string>> secrets_of_command(const Json& with);

/// Replaces the handles by `values` (NAME.FIELD → text), and has `masks` know those that must not be shown.
/// Errors: configuration (a value that no environment can hold), runtime (one is missing).
Outcome<void> put_in(CommandRequest& request, const Json& values, Redactor& masks);

/// What came out of a command or a file, without what `masks` knows.
Outcome<Json> masked(Outcome<Json> outcome, const Redactor& masks, std::size_t& count);

}  // namespace mill::runner
