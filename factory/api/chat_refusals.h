// factory/api/chat_refusals.h -- chat calls that were not admitted, by trigger: the caller is told nothing, the administrator why.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "platform/base/clock.h"

namespace mill::factory {

/// Since the start of the factory, for triggers that are there: as many as there are triggers. Thread: any.
class ChatRefusals {
public:
    struct Last {
        WallTime time;
        std::string why;
        std::uint64_t count = 0;
    };
    /// True when the log should say so: not more than once in ten seconds for one trigger.
    bool add(const std::string& trigger, std::string why, WallTime now)
    {
        const std::scoped_lock lock(mutex_);
        Entry& entry = entries_[trigger];
        entry.last = {now, std::move(why), entry.last.count + 1};
        if (entry.logged && now - *entry.logged < std::chrono::seconds(10)) return false;
        entry.logged = now;
        return true;
    }
    std::optional<Last> last(const std::string& trigger) const
    {
        const std::scoped_lock lock(mutex_);
        const auto found = entries_.find(trigger);
        return found == entries_.end() ? std::nullopt : std::optional(found->second.last);
    }

private:
    struct Entry {
        Last last;
        std::optional<WallTime> logged;
    };
    mutable std::mutex mutex_;
    std::map<std::string, Entry> entries_;
};

}  // namespace mill::factory
