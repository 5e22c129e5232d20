// platform/base/limits.h -- the bounds of one run.
#pragma once

#include <chrono>
#include <cstdint>

#include "platform/base/units.h"

namespace mill {

/// All have units. `stated` is false while they are the defaults.
struct Limits {
    ByteCount memory = mebibytes(256);     ///< whole process tree where cgroups exist, per process with rlimits
    std::chrono::milliseconds cpu{60'000};   ///< CPU time of the tree
    std::chrono::milliseconds time{600'000}; ///< wall clock from start to end
    std::chrono::milliseconds idle{0};       ///< wall clock without a step, a line of log or an end; 0: as long as `time`
    std::uint32_t processes = 32;          ///< processes and threads at once
    ByteCount output = mebibytes(16);      ///< the output value, and the files of the workspace, each
    bool stated = false;                   ///< a limit that somebody wrote means the whole tree, or refusal
};

}  // namespace mill
