// platform/confine.h -- narrows what this process may still ask of the operating system (Linux: a seccomp filter).
#pragma once

#include "platform/base/result.h"

namespace mill::platform {

struct Confinement {
    bool commands = false;    ///< starting programs, and local sockets between them, stay possible
    bool bridge = false;      ///< with `commands`: TCP over IPv4, for a listener in a network that has no way out
    bool open_files = true;   ///< opening, making and removing files stays possible; what is open stays usable anyway
    bool internet = false;    ///< with `commands`: sockets of IPv4 and IPv6 stay possible
};

/// For all threads of this process and all that it starts from now on. Cannot be undone; a second call
/// narrows further. Without `commands` only a list of named system calls remains, the others fail with "not permitted".
/// Threads that come later have stacks of 8 MiB, however large the first one's may be. Errors: unavailable (the system has no such filter).
Status confine(const Confinement& what);

/// Nobody of the same user may read this process's memory, and it leaves no core dump. For programs that hold secrets.
void hide_memory();

}  // namespace mill::platform
