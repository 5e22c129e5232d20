// platform/network_watch.h -- says when this machine's network came back, so that nobody waits out a back-off in vain.
#pragma once

#include <functional>
#include <memory>

#include "platform/base/result.h"

namespace mill::platform {

class NetworkWatch {
public:
    virtual ~NetworkWatch() = default;   ///< ends the thread; `changed` runs no more afterwards
};

/// `changed` runs, on a thread of the watch, soon after a link came up or an address or route was added; several changes at once are one
/// call. Loopback does not count. Must not block. Errors: unavailable, denied (the system tells nobody: go without).
Result<std::unique_ptr<NetworkWatch>> watch_network(std::function<void()> changed);

}  // namespace mill::platform
