// platform/wake.h -- a bell between threads: who waits for its handle hears that it was rung.
#pragma once

#include "platform/channel.h"

namespace mill::platform {

/// Thread: any. Rung often before it is heard is heard once.
class Wake {
public:
    Wake();
    void ring() const;
    void hear() const;                                ///< it is silent again
    const Handle& handle() const { return handle_; }  ///< readable while it rings; see wait_handles

private:
    Handle handle_;
};

}  // namespace mill::platform
