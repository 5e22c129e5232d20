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
    std::string user{};      ///< whose agent it was then; empty: not known
};

/// In order. Thread: any. Inputs lie in the file, which is its owner's alone.
class Launches {
public:
    static constexpr std::size_t kMost = 50, kRemembered = 200, kShown = 20;
    static constexpr std::chrono::hours kLife{24};   ///< then nobody expects it to begin any more

    Launches(std::string path, const Clock& clock);

    /// It is on the disk when this returns. The same id again changes nothing. Errors: conflict (too many wait), unavailable.
    Status add(Launch launch);
    /// The one to hand over next for `user`. Those that are too old, or somebody else's, are given up first.
    std::optional<Launch> front(const std::string& user);
    /// It is said to the factory now: what comes under its id is this person's own. The same again changes nothing.
    void expect(const Launch& launch);
    /// The factory does not want it: nothing is expected of it any more.
    void forget(const std::string& id);
    /// Whether an offer is what this person started: `launch` as the factory names it (empty: a factory of before, and the job counts, or the trigger of a
    /// start that it has not answered yet), `mark` of what it is. Once seen it is that job alone, and it has to stay the same.
    bool is_own(const std::string& launch, const std::string& trigger, const std::string& job, const std::string& mark);
    /// The factory has it as `job`.
    void has(const std::string& id, const std::string& job);
    /// The same of one that waited.
    void handed_over(const std::string& id, const std::string& job);
    /// The factory does not want it, and says why.
    void refused(const std::string& id, const std::string& why);
    /// It was said to the factory, or is to be, and nobody knows what came of it.
    bool is_said(const std::string& id) const;
    /// The job of a start, when it is known; empty: not.
    std::string job_of(const std::string& id) const;
    /// It began here while the factory was away and came to nothing, or the factory does not take it.
    void lost(const std::string& job, const std::string& title, const std::string& why);
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
    struct Expected {
        std::string id, trigger;
        std::string job, mark;   ///< empty: not known yet
    };
    void give_up_locked(const std::string& why);
    void mine_locked(const std::string& id, const std::string& job);
    Status save_locked() const;
    void load();

    const std::string path_;
    const Clock& clock_;
    mutable std::mutex mutex_;
    std::deque<Launch> waiting_;
    std::deque<std::string> mine_;     // jobs that this person started from here, the newest last
    std::deque<Expected> expected_;    // the newest last
    std::deque<Failed> failed_;        // the newest first
};

}  // namespace mill::agent
