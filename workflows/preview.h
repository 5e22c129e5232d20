// workflows/preview.h -- a value cut down to what a person, or a message, can take.
#pragma once

#include <cstddef>

#include "platform/base/json.h"

namespace mill::workflows {

struct PreviewLimits {
    std::size_t text = 120;    ///< bytes of one string
    std::size_t items = 5;     ///< of one array
    std::size_t members = 12;  ///< of one object
    std::size_t depth = 4;
    std::size_t total = 200;   ///< values in all
};

/// What was left out is said in its place ("… 97 more"). `cut` becomes true when anything was.
Json preview(const Json& value, const PreviewLimits& limits, bool* cut = nullptr);

}  // namespace mill::workflows
