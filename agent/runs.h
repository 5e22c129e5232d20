// agent/runs.h -- the loop that runs all attempts of this machine: one thread, one wait for keeper, broker, runners and commands.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "agent/demand.h"
#include "agent/job_run.h"
#include "agent/self/vitals.h"
#include "platform/base/mailbox.h"

namespace mill::agent {

/// An attempt that the journal holds when the agent starts.
struct Remembered {
    RunSpec spec;
    bool started = false, ended = false;
    SteadyTime started_at;
    std::uint64_t last_sequence = 0;
    std::optional<SteadyTime> lease_end;   ///< of a repeatable one
};

namespace command {
struct Take { protocol::AttemptId id; std::string offer; };         ///< ours; its package is being fetched
struct Start { RunSpec spec; std::optional<SteadyTime> lease_end; }; ///< of one that was taken
struct End { protocol::AttemptId id; Cause cause; };                ///< of one that was taken and will not start
struct GiveBack { protocol::AttemptId id; std::string why; };       ///< the same, and another may try
struct Cancel { protocol::AttemptId id; std::string by, why; };
struct Drop { protocol::AttemptId id; std::string why; };           ///< somebody else's now: kill
struct Say { protocol::AttemptId id; Json message; };               ///< a person's `step`, to a run of `millwright run --step`
struct Answered { protocol::AttemptId id; Json answered; };         ///< of a question that it asked: {question, state, answer, by, comment, at, why}
struct Sealed { protocol::AttemptId id; std::string broker_key; Result<SealedBox> box; };  ///< the answer to a SealRequest
struct Read { protocol::AttemptId id; std::uint64_t number = 0; Json answer; };  ///< the answer to a ReadRequest: {answer} or {error}
struct Lease { protocol::AttemptId id; SteadyTime end; };
struct StopAll { std::string why; bool cancel = true; };            ///< the agent stops: no new ones; `cancel`: those that run, too
struct Flush {};                                                    ///< runners that are held ready go
struct Work { std::function<void()> work; };                        ///< on the thread of the runs
}  // namespace command
using Command = std::variant<command::Take, command::Start, command::End, command::GiveBack, command::Cancel, command::Drop, command::Say, command::Answered, command::Sealed, command::Read, command::Lease, command::StopAll, command::Flush, command::Work>;

/// Owns every JobRun, the channels to keeper and broker. Thread: `post` any; everything else one.
class Runs {
public:
    /// Has credentials sealed; answered by command::Sealed. False: not now. Must not block.
    using Sealer = std::function<bool(SealRequest request)>;
    /// Has a metric read; answered by command::Read. False: not now. Must not block.
    using MetricReader = std::function<bool(ReadRequest request)>;
    /// `warm`: so many runners at most are held ready for jobs like those of late; 0: none.
    Runs(KeeperClient keeper, Ledger& ledger, const Clock& clock, std::size_t warm = 0, Sealer sealer = {});

    /// What the keeper asks of the program as a whole; called on the thread of the runs. Say it before `recover`.
    enum class Asked { reload, again };
    void on_asked(std::function<void(Asked)> asked) { asked_ = std::move(asked); }
    /// Say it before `recover`; without one every read is refused.
    void read_by(MetricReader reader) { reader_ = std::move(reader); }
    void watch(Vitals::Loop& loop) { vital_ = &loop; }

    void post(Command command);     ///< blocks while tens of thousands wait
    bool try_post(Command command); ///< never blocks; false: so many wait
    /// Matches what the journal remembers with what the keeper still holds. Call once, before `run`. Errors: unavailable (keeper gone).
    Status recover(std::vector<Remembered> remembered, Milliseconds wait);
    /// Until `stop` is requested, or StopAll was said and nothing runs any more. Errors: unavailable (the keeper is gone).
    Status run(std::stop_token stop);
    /// What the sandboxes of this machine can give, as the keeper says; known after `recover`.
    const Json& isolation() const { return isolation_; }
    /// Names of the credentials that this machine holds; known after `recover`.
    const std::vector<std::string>& credentials() const { return credentials_; }
    /// To the keeper; before or after `run`.
    Status stop_keeper() { return keeper_.stop(); }
    /// To the keeper, from any thread: the service is up; all loops go on; newer programs are there.
    void say_ready(std::string text);
    void say_alive();
    void say_renew();
    /// To the keeper, from any thread; its answer goes to `on_sealed`, on the thread of the runs (why: it is not sealed).
    void seal_key(std::string id, std::string key);
    void on_sealed(std::function<void(const std::string& id, const std::string& why)> sealed) { sealed_ = std::move(sealed); }

private:
    Status turn(std::stop_token stop);
    Status on_keeper(KeeperMessage message);
    void on_broker_readable();
    void on_command(Command command);
    void to_broker(const Json& message);
    void need_broker();
    void finish_turn();
    void start(command::Start said);
    void end_unstarted(const protocol::AttemptId& id, const Cause& cause);
    void give_back(const protocol::AttemptId& id, const std::string& why);
    void stop_all(const command::StopAll& said);
    JobRun* find(const std::string& key);
    JobRun& add(RunSpec spec);
    std::optional<Milliseconds> wait_time() const;

    KeeperClient keeper_;
    Json isolation_;
    std::vector<std::string> credentials_;
    Ledger& ledger_;
    const Clock& clock_;
    Demand demand_;
    Mailbox<Command> commands_;
    platform::Channel bell_in_, bell_out_;  // wakes the wait
    std::atomic<bool> rung_ = false;
    std::map<std::string, std::unique_ptr<JobRun>> runs_;
    struct Taken {
        std::optional<Cause> cancelled;     // meanwhile
        std::uint64_t last_sequence = 0;    // of one that goes on after a restart of the machine
    };
    std::map<protocol::AttemptId, Taken> taken_;  // not started
    platform::Channel broker_;
    bool broker_asked_ = false;
    std::string broker_key_;                // what credentials are sealed to; empty until the broker said it
    Sealer sealer_;
    MetricReader reader_;
    std::function<void(Asked)> asked_;
    std::function<void(const std::string& id, const std::string& why)> sealed_;
    Vitals::Loop* vital_ = nullptr;
    bool again_ = false;                    // the keeper wants to make way for a newer one
    bool stopping_ = false;
    bool sync_failed_ = false;
    std::size_t first_ = 0;                 // whose channel is looked at first: nobody starves
};

}  // namespace mill::agent
