// platform/linux/mounted.h -- what the starter of a sandbox tells of a mount. For platform/ only.
#pragma once

#include <string>

#include <sys/stat.h>

namespace mill::platform {

/// Device and inode: the same from inside, and of no other as long as the one who looked holds it open.
std::string mounted_identity(const struct stat& info);

}  // namespace mill::platform
