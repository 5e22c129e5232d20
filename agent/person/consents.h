// agent/person/consents.h -- jobs that others sent to this desktop: asked about, answered, remembered over restarts.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/person/beside.h"
#include "agent/person/rules.h"

namespace mill::agent {

/// One factory's. Every answer is on the disk before it has an effect: an agent that is killed meanwhile neither starts a job unasked nor forgets
/// what was said. Holds no input and no token on the disk: the factory offers the attempt again. Thread: any.
class Consents {
public:
    struct Verdict {
        Beside::Word word = Beside::Word::asking;
        std::string choice;               ///< now, always; later, not_today, none
        std::string by;                   ///< whose word it is
        std::optional<WallTime> until{};  ///< asking: for so long; declined: not again before
        std::string why{};                ///< declined: in words
    };
    struct Settled {
        protocol::AttemptId id;
        std::string choice, by;
        WallTime until;              ///< asked again from then on
        bool waited_for = false;     ///< its offer is here: an answer is due
    };

    /// Damage is said in the log, and what it held is asked about again.
    Consents(std::string path, PersonRules rules, const Clock& clock);

    /// After a restart, before anything is heard: those that `known` (the journal) says were taken have begun, and none can begin again.
    void begun(const std::function<bool(const protocol::AttemptId&)>& known);
    Verdict hear(const protocol::Offer& offer, const Json& said);
    /// `id`: AttemptId::key(). `choice`: now, later, not_today. Errors: not_found, conflict (said already, and what), timeout (its time is over),
    /// invalid (the choice), unavailable (it cannot be written down: nothing was said).
    Result<Settled> choose(const std::string& id, const std::string& choice, const std::string& by);
    /// Those that nobody answered in time; each once.
    std::vector<Settled> expire();
    std::optional<WallTime> next() const;        ///< when to ask `expire`
    struct Granted {
        protocol::AttemptId id;
        std::string by;
        Json offer;
    };
    std::vector<Granted> granted();
    /// Who stops everything lets nothing begin that has not begun: all that waits, and what was let run and has not begun, is for later.
    std::vector<Settled> postpone(const std::string& by);
    bool may_begin() const;                      ///< there are some
    std::optional<Json> withdrawn(const protocol::AttemptId& id);
    /// None of them begins before it is offered again.
    void expect_again();
    /// One was, for the first time since `expect_again`: what holds for it; another job under its name is asked about anew. Nothing: it is none of
    /// ours, has begun, or was offered before.
    std::optional<Verdict> refresh(const protocol::AttemptId& id, const Json& said);
    /// As GET /v1/person shows those that wait for an answer, the most urgent first.
    Json list() const;

private:
    struct Entry {
        protocol::AttemptId id;
        std::string trigger, title, description, asker;
        Json does;                   ///< [{code, what, text}]
        Json expected_ms;            ///< or null
        std::string mark;            ///< of what the person was shown
        WallTime asked, until;
        std::string choice, by;      ///< empty: not answered
        WallTime again;              ///< answered: asked again from then on
        Json offer;                  ///< as it came, since this start; in memory only: it holds a token
        bool taken = false;          ///< given to the link
        bool expected = false;       ///< to be offered again before it begins
    };
    struct Answer {                  ///< what was said of a trigger's jobs
        std::string choice, by;
        WallTime again;
    };
    static bool may_begin(const Entry& entry) { return entry.choice == "now" && !entry.taken && !entry.expected && !entry.offer.is_null(); }
    void load();
    Status save_locked();
    Verdict ask_locked(const protocol::Offer& offer, const Json& said);
    Settled settle_locked(Entry& entry, std::string choice, std::string by);
    void unsettle_locked(Entry& entry);
    static Verdict verdict_of(const Entry& entry);
    static Json to_json(const Entry& entry);

    const std::string path_;
    const PersonRules rules_;
    const Clock& clock_;
    mutable std::mutex mutex_;
    std::map<std::string, Entry> entries_;       // by the attempt's key
    std::map<std::string, Answer> said_;         // by trigger; not `now`
};

/// Of all that a person lets run with one word: the package's bytes, what goes into it, what it may do. The same for the same job offered again, whatever
/// its token is; nothing of its input can be read from it but by who guesses all of the rest, too.
std::string mark_of(const protocol::Offer& offer);

/// "anna said: in ten minutes", for `why`.
std::string words_of_choice(const std::string& choice, const std::string& by);

}  // namespace mill::agent
