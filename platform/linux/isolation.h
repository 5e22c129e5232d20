// platform/linux/isolation.h -- what this machine can give, found once. For platform/ only.
#pragma once

#include "platform/linux/cgroup.h"

namespace mill::platform {

/// Made at the first call; lives as long as the process.
const Cgroups& machine_cgroups();

}  // namespace mill::platform
