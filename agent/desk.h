// agent/desk.h -- which attempts hold a slot of this machine, whether new ones are wanted, and what is to be answered to a factory.
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
    bool waiting = false;     ///< for a person: it takes no slot, as long as few do
    bool begun_here = false;  ///< while its factory was away, which does not know of it yet
};

struct OfferAnswer {
    protocol::AttemptId id;
    std::string answer;   ///< "busy", "not_held"; of one that needs a person's consent also "asking", "consented"
    std::string why;
    Json more{};          ///< further members
};

class Desk;

/// The machine's: how many jobs at once, and whether any at all. All its factories share them: one that was turned away for want of a slot
/// gets the next one, if it asks within two seconds. Thread: any. Lives longer than its desks.
class Slots {
public:
    Slots(unsigned total, const Clock& clock) : total_(total), clock_(clock) {}

    unsigned total() const { return total_; }
    /// So many may wait for people beside those that run, each with a sandbox of its own; any more take slots. 4 for each slot unless said.
    void let_wait(unsigned most);
    unsigned taken() const;
    unsigned free() const;
    /// A person wants no new ones until `until`, or until `resume`; what runs goes on. `words` is what the factories are told.
    void pause(std::string words, std::optional<SteadyTime> until);
    void resume();
    /// No job can run here as long as this program runs.
    void disable(std::string why);
    /// Something of this machine is short, and new ones would end badly; empty: it is not. Tells only when that changes.
    void short_of(std::string why);
    void close();  ///< no new ones any more
    /// Why nothing is asked for; empty when slots are free, or taken by jobs.
    std::string unable() const;

private:
    friend class Desk;
    void set(const std::function<void()>& change);
    void changed() const;
    std::string unable_locked() const;
    bool paused_locked() const { return !pause_words_.empty() && (!pause_until_ || clock_.steady() < *pause_until_); }
    unsigned taken_locked() const;

    const unsigned total_;
    unsigned most_waiting_ = 4 * total_;
    const Clock& clock_;
    mutable std::mutex mutex_;   // the desks', too
    std::vector<Desk*> desks_;
    std::optional<SteadyTime> pause_until_;
    std::string pause_words_, disabled_, short_of_;
    bool closed_ = false;
};

/// One factory's: what link, lease and runs share. Thread: any. `on_change` runs on the thread that changed something.
class Desk {
public:
    explicit Desk(Slots& slots);
    Desk(const Desk&) = delete;
    Desk& operator=(const Desk&) = delete;
    ~Desk();
    void set_on_change(std::function<void()> on_change);

    /// False when all slots are taken or kept for another factory, nothing new is wanted, or another factory has an attempt of this name.
    bool take(Holding holding);
    /// One that this agent had before it started, whatever the slots say.
    void keep(Holding holding);
    void release(const protocol::AttemptId& id);
    /// It waits for people, or goes on. It gets its slot back at once, even when others have taken it meanwhile.
    void set_waiting(const protocol::AttemptId& id, bool waiting);
    /// Its factory knows of it now.
    void is_known(const protocol::AttemptId& id);
    bool holds(const protocol::AttemptId& id) const;
    std::vector<Holding> held() const;
    unsigned free() const;
    unsigned slots() const { return slots_.total(); }
    /// No new ones for a while: something of this machine is in the way, and `why` says what.
    void rest(Milliseconds time, std::string why);
    /// Why nothing is asked for; empty when slots are free, or taken by jobs.
    std::string unable() const;
    /// When it takes jobs again by itself.
    std::optional<Milliseconds> resting() const;

    void answer(OfferAnswer answer);
    std::vector<OfferAnswer> take_answers();
    bool has_answers() const;
    /// Something that its link asks others for is there.
    void stir() const { changed(); }
    /// Waits until an attempt is held; false when stopped.
    bool wait_held(std::stop_token stop);

private:
    friend class Slots;
    void changed() const;
    bool resting_locked() const { return rest_until_ && slots_.clock_.steady() < *rest_until_; }
    bool waits_locked() const { return waits_until_ && slots_.clock_.steady() < *waits_until_; }
    /// Slots that are kept for others, and until when.
    std::pair<unsigned, std::optional<SteadyTime>> kept_for_others_locked() const;
    unsigned free_locked() const;

    Slots& slots_;
    std::function<void()> on_change_;
    std::condition_variable_any some_held_;
    std::map<protocol::AttemptId, Holding> held_;
    std::vector<OfferAnswer> answers_;
    std::optional<SteadyTime> rest_until_, waits_until_;
    std::string rest_why_;
};

}  // namespace mill::agent
