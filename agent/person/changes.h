// agent/person/changes.h -- a number that grows with every change of what the person may see, and those who wait for the next one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "platform/base/clock.h"

namespace mill::agent {

/// Thread: any.
class Changes {
public:
    using Waiter = std::function<void(std::int64_t version)>;

    /// Begins with the time: after a restart the numbers go on upwards.
    explicit Changes(WallTime now) : version_(now.microseconds / 1'000) {}

    std::int64_t version() const
    {
        const std::scoped_lock lock(mutex_);
        return version_;
    }
    void bump()
    {
        std::multimap<SteadyTime, Waiter> told;
        std::int64_t version = 0;
        {
            const std::scoped_lock lock(mutex_);
            version = ++version_;
            told.swap(waiting_);
        }
        for (const auto& [until, waiter] : told) waiter(version);
    }
    /// Calls `waiter` once: at once when the version is not `after` (of another run of the agent it may be above), at the next change, or by `give_up`.
    /// True when it waits as the first to give up.
    bool wait(std::int64_t after, SteadyTime until, Waiter waiter)
    {
        std::int64_t version = 0;
        {
            const std::scoped_lock lock(mutex_);
            version = version_;
            if (after == version_) {
                const bool first = waiting_.empty() || until < waiting_.begin()->first;
                waiting_.emplace(until, std::move(waiter));
                return first;
            }
        }
        waiter(version);
        return false;
    }
    /// Those whose time is over get the version that holds.
    void give_up(SteadyTime now)
    {
        std::vector<Waiter> told;
        std::int64_t version = 0;
        {
            const std::scoped_lock lock(mutex_);
            version = version_;
            const auto end = waiting_.upper_bound(now);
            for (auto at = waiting_.begin(); at != end; ++at) told.push_back(std::move(at->second));
            waiting_.erase(waiting_.begin(), end);
        }
        for (const Waiter& waiter : told) waiter(version);
    }
    std::optional<SteadyTime> next() const
    {
        const std::scoped_lock lock(mutex_);
        return waiting_.empty() ? std::nullopt : std::optional(waiting_.begin()->first);
    }

private:
    mutable std::mutex mutex_;
    std::int64_t version_;
    std::multimap<SteadyTime, Waiter> waiting_;
};

}  // namespace mill::agent
