// workflows/uri.h -- `{name}` templates in endpoints.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace mill::workflows {

/// Replaces each `{name}` by the percent-encoded top-level scalar of `data`. Errors: invalid (not there, or no scalar; anything
/// in braces that is no name).
Result<std::string> expand_uri(std::string_view uri, const Json& data);

}  // namespace mill::workflows
