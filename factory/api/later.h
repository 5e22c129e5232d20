// factory/api/later.h -- two threads: calls at a time, and long work one after the other.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "platform/base/clock.h"
#include "platform/base/mailbox.h"

namespace mill::factory {

/// Calls functions when their time has come, on its own thread. Thread: any.
class Later {
public:
    Later();
    ~Later() { stop(); }
    void stop();   ///< what is still to come is dropped
    std::uint64_t at(Milliseconds from_now, std::function<void()> work);
    void drop(std::uint64_t ticket);

private:
    void run(const std::stop_token& stop);
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::map<std::pair<SteadyTime, std::uint64_t>, std::function<void()>> due_;
    std::map<std::uint64_t, SteadyTime> times_;
    std::uint64_t next_ = 1;
    std::jthread thread_;
};

/// Thread: any.
class Worker {
public:
    Worker();
    ~Worker() { stop(); }
    void stop();   ///< finishes what it is doing, drops the rest
    /// False when too much waits already.
    bool post(std::function<void()> work) { return queue_.try_send(std::move(work)); }

private:
    Mailbox<std::function<void()>> queue_{256};
    std::jthread thread_;
};

}  // namespace mill::factory
