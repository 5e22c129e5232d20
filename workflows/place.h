// workflows/place.h -- a place inside an expression as line and column of its file.
#pragma once

#include <string_view>

#include "platform/base/yaml.h"

namespace mill::workflows {

/// The character at `offset` of `expression`, which stands in `file` at or behind `start`. YAML folds and indents, so characters
/// other than white space are counted; `start` when the expression is not found there (escapes of double quotes).
Mark place_inside(std::string_view file, Mark start, std::string_view expression, std::size_t offset);

}  // namespace mill::workflows
