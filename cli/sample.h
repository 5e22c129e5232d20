// cli/sample.h -- a small value that fits a JSON Schema, for calls that run as they are shown.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace mill::cli {

/// From `default`, `examples`, `const`, `enum`, else by type: the required members of objects.
Json sample_of(const Json& schema, int depth = 0);
/// 'text' for a POSIX shell.
std::string shell_quoted(std::string_view text);

}  // namespace mill::cli
