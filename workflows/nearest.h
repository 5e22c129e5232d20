// workflows/nearest.h -- the name somebody probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mill::workflows {

/// The candidate closest in spelling, or "" when none is close.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

/// "; did you mean 'x'?" or "".
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace mill::workflows
