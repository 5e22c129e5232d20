// platform/posix/wait.h -- waits for descriptors, a deadline or a stop request, whichever is first. For platform/ only.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <vector>

#include <poll.h>

#include "platform/base/result.h"

namespace mill::platform {

using SteadyPoint = std::chrono::steady_clock::time_point;

inline std::optional<SteadyPoint> deadline_of(std::optional<std::chrono::milliseconds> wait)
{
    if (!wait) return std::nullopt;
    return std::chrono::steady_clock::now() + *wait;
}

/// True when a descriptor of `set` is ready (its revents are filled in), false at the deadline. Errors: cancelled, internal.
Result<bool> wait_ready(std::vector<pollfd>& set, std::optional<SteadyPoint> deadline, const std::stop_token& stop);

/// As above for one descriptor.
Result<bool> wait_ready(int descriptor, short events, std::optional<SteadyPoint> deadline, const std::stop_token& stop);

}  // namespace mill::platform
