// platform/own_user.h -- what belongs to the user that this program runs as.
#pragma once

#include <cstdint>
#include <string>

#include "platform/base/result.h"

namespace mill::platform {

std::uint32_t own_user();
/// A socket's name that another user made leads to that user's program. Errors: not_found, denied (it is somebody else's; or a link).
Status is_ours_or_roots(const std::string& path);

}  // namespace mill::platform
