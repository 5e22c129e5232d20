// agent/desk.h -- what link, lease and runs share: which attempts hold a slot, and what is to be answered to the factory.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "protocol/event.h"

namespace mill::agent {

struct Holding {
    protocol::AttemptId id;
    bool repeatable = false;
    Milliseconds lease{60'000};
};

struct OfferAnswer {
    protocol::AttemptId id;
    std::string answer;   ///< "busy", "not_held"
    std::string why;
};

/// Thread: any. `on_change` runs on the thread that changed something.
class Desk {
public:
    Desk(unsigned slots, const Clock& clock) : slots_(slots), clock_(clock) {}
    void set_on_change(std::function<void()> on_change);

    /// False when all slots are taken, the desk rests or is closed; an attempt that is held already stays once.
    bool take(Holding holding);
    /// One that this agent had before it started, whatever the slots say.
    void keep(Holding holding);
    void release(const protocol::AttemptId& id);
    bool holds(const protocol::AttemptId& id) const;
    std::vector<Holding> held() const;
    unsigned free() const;
    unsigned slots() const { return slots_; }
    /// No new ones for a while: something of this machine is in the way, and `why` says what.
    void rest(Milliseconds time, std::string why);
    /// A person wants no new ones until `until`, or until `resume`; what runs goes on. `words` is what the factory is told.
    void pause(std::string words, std::optional<SteadyTime> until);
    void resume();
    /// No job can run here as long as this program runs.
    void disable(std::string why);
    /// Why nothing is asked for; empty when slots are free, or taken by jobs.
    std::string unable() const;
    /// When it takes jobs again by itself.
    std::optional<Milliseconds> resting() const;
    void close();  ///< no new ones any more

    void answer(OfferAnswer answer);
    std::vector<OfferAnswer> take_answers();
    bool has_answers() const;
    /// Waits until an attempt is held; false when stopped.
    bool wait_held(std::stop_token stop);

private:
    void changed() const;
    bool shut_locked() const;
    bool resting_locked() const { return rest_until_ && clock_.steady() < *rest_until_; }
    bool paused_locked() const { return !pause_words_.empty() && (!pause_until_ || clock_.steady() < *pause_until_); }
    const unsigned slots_;
    const Clock& clock_;
    std::function<void()> on_change_;
    mutable std::mutex mutex_;
    std::condition_variable_any some_held_;
    std::map<protocol::AttemptId, Holding> held_;
    std::vector<OfferAnswer> answers_;
    std::optional<SteadyTime> rest_until_, pause_until_;
    std::string rest_why_, pause_words_, disabled_;
    bool closed_ = false;
};

}  // namespace mill::agent
