// platform/linux/isolation.h -- what this machine can give, found once. For platform/ only.
#pragma once

#include "platform/linux/cgroup.h"

namespace mill::platform {

/// Made at the first call; lives as long as the process.
const Cgroups& machine_cgroups();

/// False where the kernel refuses a fresh /proc to a user namespace (parts of ours are covered: a container, a hardened
/// unit). A sandbox then has an empty one.
bool can_mount_proc();

}  // namespace mill::platform
