// platform/linux/sandbox_layout.h -- what a sandbox sees: bubblewrap's arguments for a SandboxSpec. For platform/ only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "platform/sandbox.h"

namespace mill::platform {

struct Layout {
    std::vector<std::string> arguments;
    std::vector<std::pair<int, Handle>> files;  ///< descriptors that bubblewrap itself reads, with their numbers
    std::vector<Handle> granted;                ///< what the granted mounts are: to be held as long as the sandbox lives
};

/// Numbers from `first` on are free for `files`. Errors: as start_sandbox.
Result<Layout> make_layout(const SandboxSpec& spec, int first, int filter, int info);

}  // namespace mill::platform
