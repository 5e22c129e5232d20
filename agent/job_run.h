// agent/job_run.h -- one attempt from its sandbox's start to its last event: what is waited for, and what each word leads to.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "agent/job_words.h"
#include "agent/keeper_client.h"
#include "agent/ledger.h"
#include "agent/outbox.h"
#include "agent/run_spec.h"
#include "platform/base/redact.h"

namespace mill::agent {

/// starting (keeper) → opening (runner's `ready`, broker's `opened`) → committing (`started` is on its way to the disk) → running →
/// leaving (its final event is recorded, its processes go) → over. Thread: one, that of `Runs`.
class JobRun {
public:
    struct Ports {
        KeeperClient& keeper;
        Ledger& ledger;
        const Clock& clock;
        std::function<void(const Json&)> to_broker;  ///< kept until there is a broker
        std::function<const std::string&()> broker_key;  ///< what credentials are sealed to; empty: it will be told by on_sealing_key
        std::function<bool(SealRequest)> seal;           ///< answered by on_sealed; false: not now
        std::function<bool(ReadRequest)> read;           ///< answered by on_read; false: not now
    };
    enum class Phase { starting, opening, committing, running, leaving, over };

    JobRun(RunSpec spec, Ports ports);

    void start();
    /// After a restart of the agent: the runner lives on. `last` is the last sequence in the journal, `ended` when a final one is there.
    void adopt(platform::Channel job, SteadyTime started, std::uint64_t last, bool ended);

    // What arrives.
    void on_started(platform::Channel job, std::string nonce, const std::vector<std::string>& notes);
    void on_refused(Errc code, const std::string& why);
    void on_opened(const Json& answer);       ///< the broker's: {key, error?, reveal?}
    void on_sealing_key(const Json* held);    ///< the broker said its key, and {reveal} when it has this attempt's credentials already
    void on_sealed(const std::string& broker_key, Result<SealedBox> box);
    void on_readable();                       ///< one message of the job channel
    void on_read(std::uint64_t number, const Json& answer);  ///< of a metric: {answer} or {error}
    void on_end(const RunnerEnd& end);
    void on_answered(const Json& answered);   ///< {question, state, answer, by, comment, at, why}
    void on_broker();                         ///< a new broker: it needs the grants again
    void cancel(Cause cause);                 ///< in stages, each in the final event's evidence: a word to the runner, 8 s later the kill
    void stop_now(Cause cause);               ///< kills
    /// job_run_waiting.cpp. Gives back what was not begun, leaves what waits for a person, now or as soon as it does; `end`: cancels the rest.
    void stop_with_agent(Cause cause, bool end);
    void say(const Json& message) { send(message); }  ///< a person's `step`; nothing else comes this way
    void set_lease(SteadyTime end) { lease_end_ = end; }

    void after_sync();                        ///< what was recorded is on disk now
    void tick(SteadyTime now);
    std::optional<SteadyTime> next_tick() const;
    /// To be polled; null while nothing should be read.
    const platform::Channel* channel() const;
    /// To be waited for until it can be sent on; null: nothing waits.
    const platform::Channel* unsent() const { return job_.valid() && outbox_.waits() ? &job_ : nullptr; }
    void on_room() { outbox_.go_on(job_, ports_.clock.steady()); }
    Phase phase() const { return phase_; }
    const RunSpec& spec() const { return spec_; }
    const std::string& key() const { return key_; }

private:
    void on_message(const Json& message, std::size_t bytes);
    void on_event(protocol::Event event, std::size_t bytes);
    bool on_watched(const Json& message);
    // job_run_waiting.cpp
    bool on_asking(const Json& message, std::size_t bytes);
    void on_ask(const Json& ask, std::size_t bytes);
    void on_unask(const Json& unask);
    void on_waits(const Json& waits, std::size_t bytes);
    void on_goes(const Json& goes);
    void go_on();
    void tell_time();
    Milliseconds claimed(const Json& waited, SteadyTime now) const;
    void keep_if_due(bool at_once = false);
    bool forget_kept();
    void let_go();
    bool leave_waiting();
    void ask_metric(const Json& asked);
    void record(protocol::Event event);
    void write_stuck();
    void commit();
    void give_back(const std::string& why);
    bool start_again(const RunnerEnd& end);
    void conclude();                          ///< writes the final event that the runner owes
    void broken(const std::string& why);
    void leave_if_over();
    bool final_recorded() const { return final_sequence_ != 0; }
    void send(const Json& message);
    void open_broker();
    void ask_for_box();
    void not_sealed(const Error& error);
    void fail_start(const std::string& why);
    void learn(const Json& revealed);
    std::optional<SteadyTime> idle_end() const;
    bool goes_on() const { return !spec_.snapshot.is_null(); }   ///< after a restart of the machine; until `begin` was said
    bool beginning() const { return phase_ == Phase::starting || phase_ == Phase::opening; }

    RunSpec spec_;
    Redactor redactor_;  // knows the secrets of spec_.credentials, and those that the job may have in plain
    const std::string key_;
    Ports ports_;
    Phase phase_ = Phase::starting;
    platform::Channel job_;
    Outbox outbox_;
    bool ready_ = false, opened_ = false, begun_ = false, killed_ = false;
    bool resumed_ = false;                    // taken over, and what was asked for again is not here yet
    std::uint64_t last_sequence_ = 0;         // recorded
    std::uint64_t acked_ = 0;                 // told to the runner
    std::uint64_t final_sequence_ = 0;
    bool synced_final_ = false;
    bool started_again_ = false;
    std::uint64_t chatter_bytes_ = 0;         // of step and log records
    std::deque<protocol::Event> stuck_;       // not written for lack of disk
    std::optional<Cause> cause_;
    std::optional<Stop> stop_;                // somebody asked
    std::optional<RunnerEnd> end_;
    std::vector<std::string> notes_;
    std::string nonce_;                       // of the runner that was started; empty when it was taken over
    std::optional<SteadyTime> wall_end_, lease_end_, kill_at_, retry_at_;
    std::optional<SteadyTime> paused_since_, heard_;   // heard_: of its runner, the last time

    // Of a run that asks people.
    std::set<std::string> asked_;             // open questions
    std::size_t asks_ = 0;                    // ever
    bool waits_ = false;                      // for people: since paused_since_
    SteadyTime begun_at_;                     // its time counts from here, and `waited_` does not count
    Milliseconds waited_{0};                  // on our clock
    bool recount_ = false;                    // taken over: what it waited before only the runner knows
    std::optional<SteadyTime> keep_at_;       // not before: a snapshot is large
    Json to_keep_;                            // as soon as the events up to keep_after_ are on the disk
    std::uint64_t keep_after_ = 0;
    bool kept_ = false;                       // on the disk, with the events up to kept_after_
    std::uint64_t kept_after_ = 0;
    bool leaves_ = false;                     // wants to go on by itself
    bool agent_stops_ = false;
    Cause stop_cause_;
    std::optional<SteadyTime> stop_at_;       // then it is cancelled after all: it asked, and does not wait

    // Of the credentials that the factory seals.
    bool told_missing_ = false;               // the broker opened nothing with the box
    bool broker_new_ = true;                  // it knows nothing of this attempt: what it is asked waits
    std::string sealing_trouble_;             // why there is no box yet
    Milliseconds sealing_pause_{0};           // before the next try
    std::optional<SteadyTime> seal_at_, sealing_since_;
};

}  // namespace mill::agent
