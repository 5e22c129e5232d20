// platform/mounted.h -- a program in a sandbox makes sure that what was granted is what was mounted.
#pragma once

#include <string>

#include "platform/base/result.h"

namespace mill::platform {

/// How a program in a sandbox is told of a granted mount: `--mounted PLACE=IDENTITY`, once for each.
constexpr const char* kMountedOption = "--mounted";

/// Bubblewrap mounts by name, after we have looked where the name leads: whoever may rename what lies in between could put a link there in the
/// meantime. `said` is the option's word; to be called before anything from outside is read. Errors: denied (another thing lies there).
Status check_mounted(const std::string& said);

}  // namespace mill::platform
