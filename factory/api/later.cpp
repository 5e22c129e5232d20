#include "factory/api/later.h"

namespace mill::factory {

Later::Later() : thread_([this](const std::stop_token& stop) { run(stop); }) {}

void Later::stop()
{
    if (!thread_.joinable()) return;
    thread_.request_stop();
    changed_.notify_all();
    thread_.join();
}

std::uint64_t Later::at(Milliseconds from_now, std::function<void()> work)
{
    std::uint64_t ticket = 0;
    {
        const std::scoped_lock lock(mutex_);
        ticket = next_++;
        const SteadyTime when = system_clock().steady() + from_now;
        due_.emplace(std::pair(when, ticket), std::move(work));
        times_.emplace(ticket, when);
    }
    changed_.notify_all();
    return ticket;
}

void Later::drop(std::uint64_t ticket)
{
    std::function<void()> dropped;   // its end runs outside of the lock
    const std::scoped_lock lock(mutex_);
    const auto found = times_.find(ticket);
    if (found == times_.end()) return;
    const auto entry = due_.find(std::pair(found->second, ticket));
    if (entry != due_.end()) {
        dropped = std::move(entry->second);
        due_.erase(entry);
    }
    times_.erase(found);
}

void Later::run(const std::stop_token& stop)
{
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        if (due_.empty()) {
            changed_.wait(lock, stop, [&] { return !due_.empty(); });
            continue;
        }
        const auto left = due_.begin()->first.first - system_clock().steady();
        if (left.count() > 0) {
            const auto first = due_.begin()->first;
            changed_.wait_for(lock, stop, left, [&] { return due_.empty() || due_.begin()->first < first; });
            continue;
        }
        auto work = std::move(due_.begin()->second);
        times_.erase(due_.begin()->first.second);
        due_.erase(due_.begin());
        lock.unlock();
        work();
        work = nullptr;
        lock.lock();
    }
}

Worker::Worker()
    : thread_([this](const std::stop_token& stop) {
          while (auto work = queue_.receive(stop)) {
              if (stop.stop_requested()) break;
              (*work)();
          }
      })
{
}

void Worker::stop()
{
    if (!thread_.joinable()) return;
    thread_.request_stop();
    queue_.close();
    thread_.join();
}

}  // namespace mill::factory
