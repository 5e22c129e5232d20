// agent/runner/sender.h -- sends messages on a channel without ever holding up the loop: a peer that is away costs a queue, not time.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "platform/channel.h"

namespace mill::runner {

/// Owns one thread, the only one that sends on the channel. Thread: any.
class Sender {
public:
    /// `drained` is called on the sender's thread when a full queue has become short again.
    Sender(platform::Channel& channel, std::function<void()> drained = {});
    ~Sender();
    void send(std::string text, platform::Handle along = {});
    void replace(std::deque<std::string> texts);  ///< what was not sent yet is dropped
    void close();                                 ///< sends nothing more; afterwards the channel may go
    bool full() const;                            ///< above a few MiB: make nothing that can wait

private:
    void run(const std::stop_token& stop);

    platform::Channel& channel_;
    std::function<void()> drained_;
    mutable std::mutex mutex_;
    std::condition_variable_any filled_;
    struct Item {
        std::string text;
        platform::Handle along;
    };
    std::deque<Item> queue_;
    std::size_t bytes_ = 0;
    bool was_full_ = false, broken_ = false;
    std::jthread thread_;
};

}  // namespace mill::runner
