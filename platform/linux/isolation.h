// platform/linux/isolation.h -- what this machine can give, found once. For platform/ only.
#pragma once

#include "platform/linux/cgroup.h"

namespace mill::platform {

/// Made at the first call; lives as long as the process.
const Cgroups& machine_cgroups();

/// What the kernel lets a user namespace do here. Both hold but where parts of our /proc are covered or read-only (a
/// container, a hardened unit).
struct Kernel {
    bool fresh_proc = true;     ///< else a sandbox has an empty /proc
    bool disable_userns = true; ///< else only the filter refuses a further user namespace
};
const Kernel& kernel_allows();

}  // namespace mill::platform
