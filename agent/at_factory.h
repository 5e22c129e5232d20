// agent/at_factory.h -- this machine as an agent of one factory: identity, policy, journal, connections and their threads. An agent may be
// enrolled with several; they share slots, runs and sandboxes, and nothing of one is told to another.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/files/file_events.h"
#include "agent/journal_ledger.h"
#include "agent/lease.h"
#include "agent/link.h"
#include "agent/local_starts.h"
#include "agent/person/at_person.h"
#include "agent/policy.h"
#include "agent/questions.h"
#include "agent/self/own_log.h"
#include "agent/self/rounds.h"
#include "agent/uplink.h"

namespace mill::agent {

/// Thread: the main one, but for what is said otherwise.
class AtFactory {
public:
    struct Machine {
        const std::string& data_folder;
        const Config& config;
        const Clock& clock;
        Slots& slots;
        Vitals& vitals;
        bool alone = true;                        ///< no other factory: its name need not be said
        std::string config_path{};                ///< for the doctor that the factory asks for
    };
    /// Reads what lies in DIR/factories/ID. Errors: corrupt, denied, unavailable, invalid (a file of settings).
    static Result<std::unique_ptr<AtFactory>> open(const Machine& machine, const std::string& factory_id);
    ~AtFactory();

    const Identity& identity() const { return identity_; }
    Journal& journal() { return *journal_; }
    const Journal& journal() const { return *journal_; }
    Ledger& ledger() { return ledger_; }
    Desk& desk() { return desk_; }
    const Desk& desk() const { return desk_; }
    /// What a person starts here while the factory is away. Any thread.
    StartsHere& starts_here() { return starts_here_; }
    /// Told of what began here while the factory was away and was given back before it started. Before the runs begin.
    void on_lost(std::function<void(const protocol::AttemptId& id, const std::string& why)> lost) { ledger_.on_lost(std::move(lost)); }
    /// What policy.yaml says of the person; it stands from the start on.
    const PersonRules& person_rules() const { return person_rules_; }
    OwnLog* own_log() { return own_log_.get(); }  ///< null when it could not be opened
    /// What the journal holds, as the runs need it; its slots are taken from now on.
    std::vector<Remembered> remember();
    /// Any thread. False: not now.
    bool seal(SealRequest request) { return seals_.try_send(std::move(request)); }
    bool read(ReadRequest request) { return reads_.try_send(std::move(request)); }

    struct Runtime {
        std::function<void(Command)> tell;        ///< to the runs
        Json facts;
        std::function<void()> subscribed;         ///< each time a session is open; on the link's thread
        AtPerson* person = nullptr;               ///< beside an attended agent
    };
    /// Starts the threads. Once.
    void start(Runtime runtime);
    /// The poll that is parked is on a connection that nobody holds any more.
    void again() { link_->again(); }
    void nudge() { link_->nudge(); }
    void stop();                                  ///< ends the threads
    /// Says to the factory who a person of this machine is: {user, publicKey, facts}. One thread at a time; blocks for some seconds at most.
    Result<Json> vouch(const Json& request, int& status);
    /// The last word, when the threads have ended.
    void say_goodbye(const std::string& why);
    /// The terms of the session, when there was one. Any thread.
    std::optional<Terms> terms() const;

private:
    AtFactory(const Machine& machine, Identity identity, Policy policy, std::unique_ptr<Journal> journal);
    Vitals::Loop& loop(std::string name);
    Result<protocol::Permissions> admit(const protocol::Offer& offer) const;
    /// The factory wants an attempt ended that a person is asked about: it ends before it began. False: nobody is.
    bool withdraw(AtPerson& person, const Command& command, const std::function<void(Command)>& to_runs);
    /// The factory says that these keys of publishers were revoked: kept on disk, and what is held ready goes.
    void revoke(const std::set<std::string>& keys, const std::function<void(Command)>& tell);

    Machine machine_;
    const Identity identity_;
    Policy policy_;                               // after the start the link's thread alone changes it, and others read it under the mutex
    mutable std::mutex policy_mutex_;
    const PersonRules person_rules_;
    bool revoked_kept_ = true;                    // the last time that keys were revoked they were written down
    const std::unique_ptr<Journal> journal_;
    Desk desk_;
    std::unique_ptr<OwnLog> own_log_;
    Tokens tokens_;
    FactoryClient for_link_, for_uplink_, for_lease_, for_log_, for_person_, for_questions_, for_files_, for_sessions_;
    std::function<void(Command)> tell_runs_;      // set before the threads start
    Questions questions_;
    WaitingRuns waiting_;
    std::vector<Fetch> going_on_;                 // what waited for people when this machine went down
    JournalLedger ledger_;
    Mailbox<Fetch> fetches_;
    LocalStarts starts_here_;
    Mailbox<SealRequest> seals_;
    Mailbox<ReadRequest> reads_;
    Rounds rounds_;
    FileEvents files_;
    std::unique_ptr<Lease> lease_;
    std::unique_ptr<Uplink> uplink_;
    std::unique_ptr<Link> link_;
    mutable std::mutex mutex_;
    std::optional<Terms> terms_;
    std::vector<std::jthread> threads_;
};

/// The runs' records of all factories: each goes where the attempt came from, which is the desk that holds it.
class Ledgers : public Ledger {
public:
    explicit Ledgers(const std::vector<std::unique_ptr<AtFactory>>& factories) : factories_(factories) {}
    Status taken(const protocol::AttemptId& id, const std::string& offer) override;
    Status started(const protocol::AttemptId& id, const protocol::Event& running, SteadyTime now) override;
    Status event(const protocol::AttemptId& id, const protocol::Event& event) override;
    Status sync() override;
    void extra(const protocol::AttemptId&, const Json&) override {}
    void ask(const protocol::AttemptId& id, const Json& ask) override;
    void unask(const protocol::AttemptId& id, const std::string& question, const std::string& why) override;
    void heard(const protocol::AttemptId& id, const std::string& question) override;
    void told(const protocol::AttemptId& id, const protocol::Event& event) override;
    void waits(const protocol::AttemptId& id, bool waits) override;
    Status keep(const protocol::AttemptId& id, std::uint64_t after, const Json& snapshot) override;
    void not_held(const protocol::AttemptId& id, const std::string& why) override;
    void released(const protocol::AttemptId& id) override;
    /// Null when nobody holds it. Thread: any.
    AtFactory* of(const protocol::AttemptId& id) const;

private:
    const std::vector<std::unique_ptr<AtFactory>>& factories_;
};

}  // namespace mill::agent
