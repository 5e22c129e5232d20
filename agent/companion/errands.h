// agent/companion/errands.h -- what takes a while and must hold up no face: calls to the agent, a browser that starts.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <thread>

#include "platform/base/mailbox.h"
#include "platform/wake.h"

namespace mill::companion {

/// A thread for each while it is under way, and none else. Thread: that of the faces.
class Errands {
public:
    static constexpr std::size_t kMost = 8;
    using Then = std::function<void()>;

    /// `wake` rings when `finish` has something to do.
    explicit Errands(const platform::Wake& wake) : wake_(wake) {}
    /// Does `work` on a thread of its own; what it returns is called by `finish`. False: too many are under way, and it was not begun.
    bool begin(std::function<Then()> work);
    void finish();

private:
    struct One {
        std::atomic<bool> over{false};
        std::jthread thread;
    };
    const platform::Wake& wake_;
    Mailbox<Then> done_{1024};
    std::list<One> under_way_;
};

}  // namespace mill::companion
