// agent/person/launches.h -- what a person started while the factory was away: on the disk until the factory has it, exactly once.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace mill::agent {

struct Launch {
    std::string id;          ///< the person's page made it: the factory takes the same id once
    std::string trigger, title;
    Json input;
    WallTime asked;
};

/// In order. Thread: any. Inputs lie in the file, which is its owner's alone.
class Launches {
public:
    static constexpr std::size_t kMost = 50, kRemembered = 200, kShown = 20;
    static constexpr std::chrono::hours kLife{24};   ///< then nobody expects it to begin any more

    Launches(std::string path, const Clock& clock);

    /// It is on the disk when this returns. The same id again changes nothing. Errors: conflict (too many wait), unavailable.
    Status add(Launch launch);
    /// The one to hand over next. Those that are too old are given up first.
    std::optional<Launch> front();
    /// The factory has it as `job`.
    void handed_over(const std::string& id, const std::string& job);
    /// The factory does not want it, and says why.
    void refused(const std::string& id, const std::string& why);
    /// A job that this person started from here.
    void mine(const std::string& job);
    bool is_mine(const std::string& job) const;
    bool empty() const;
    /// [{id, trigger, title, asked}]
    Json waiting() const;
    /// Rows of the history for those that came to nothing: [{id, job: null, trigger, title, state: "refused", reason, ended}], the newest first.
    Json failed() const;

private:
    struct Failed {
        Launch launch;
        std::string why;
        WallTime at;
    };
    void give_up_locked(const std::string& why);
    Status save_locked() const;
    void load();

    const std::string path_;
    const Clock& clock_;
    mutable std::mutex mutex_;
    std::deque<Launch> waiting_;
    std::deque<std::string> mine_;     // jobs, the newest last
    std::deque<Failed> failed_;        // the newest first
};

}  // namespace mill::agent
