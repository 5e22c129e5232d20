// factory/api/log_waiters.h -- who holds a log open for more of it.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace mill::factory {

/// A hint, per job, that there is more to read. Thread: any.
class LogWaiters {
public:
    std::uint64_t wait(const std::string& job, std::function<void()> wake)
    {
        const std::scoped_lock lock(mutex_);
        const auto ticket = next_++;
        waiting_[job].emplace_back(ticket, std::move(wake));
        return ticket;
    }
    void drop(const std::string& job, std::uint64_t ticket)
    {
        const std::scoped_lock lock(mutex_);
        const auto found = waiting_.find(job);
        if (found == waiting_.end()) return;
        std::erase_if(found->second, [&](const auto& each) { return each.first == ticket; });
        if (found->second.empty()) waiting_.erase(found);
    }
    void notify(const std::string& job)
    {
        std::vector<std::pair<std::uint64_t, std::function<void()>>> woken;
        {
            const std::scoped_lock lock(mutex_);
            const auto found = waiting_.find(job);
            if (found == waiting_.end()) return;
            woken.swap(found->second);
            waiting_.erase(found);
        }
        for (const auto& [ticket, wake] : woken) wake();
    }

private:
    std::mutex mutex_;
    std::map<std::string, std::vector<std::pair<std::uint64_t, std::function<void()>>>> waiting_;
    std::uint64_t next_ = 1;
};

}  // namespace mill::factory
