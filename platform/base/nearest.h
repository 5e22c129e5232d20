// platform/base/nearest.h -- the name somebody probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mill {

/// The candidate closest in spelling, whatever its case; "" when none is close: 2 edits, of a long name a third of its letters.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

/// "; did you mean 'x'?" or "".
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace mill
