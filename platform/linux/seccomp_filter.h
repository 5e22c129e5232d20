// platform/linux/seccomp_filter.h -- the system call filter that bubblewrap installs before a sandboxed program. For platform/ only.
#pragma once

#include "platform/channel.h"

namespace mill::platform {

/// The filter as bytes in a file in memory, made once per kind; a fresh descriptor that reads from its start. Without `commands` sockets cannot
/// be made at all. Errors: unavailable.
Result<Handle> seccomp_filter(bool commands);

}  // namespace mill::platform
