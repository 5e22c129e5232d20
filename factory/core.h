// factory/core.h -- every operation of the factory: durable when answered, fenced, and current in its reasons.
#pragma once

#include <future>
#include <memory>

#include "factory/core_values.h"
#include "factory/file_values.h"
#include "factory/store/store.h"
#include "platform/base/clock.h"

namespace mill::factory {

/// Tells others that something changed. A hint: whoever hears it reads the store. A second node will publish through PostgreSQL.
class Wakeups {
public:
    virtual ~Wakeups() = default;
    enum class Topic { feed, deliveries };
    /// `number` of feed: the last sequence committed. Thread: any; must not block.
    virtual void publish(Topic topic, std::uint64_t number) = 0;
    /// Keep the returned value; its end ends the subscription. `heard` runs on the publishing thread and must not block.
    virtual std::shared_ptr<void> subscribe(Topic topic, std::function<void(std::uint64_t)> heard) = 0;
};
std::unique_ptr<Wakeups> make_local_wakeups();

struct CoreOptions {
    std::string folder;                      ///< --data
    Milliseconds lease{60'000}, renew{15'000}, poll{30'000};
    Milliseconds offline_limit{900'000};     ///< silent for longer: failed, agent_lost
    Milliseconds poll_gap{10'000};           ///< from one poll's answer to the next poll before the agent counts as offline
    Milliseconds ageing{600'000};            ///< a waiting job counts as one priority more after each; 0: never
    Milliseconds delivery_life{86'400'000};  ///< then dead
    std::size_t record_quota = 64 * 1024 * 1024;   ///< bytes of steps and logs of one attempt
    std::uint32_t hold_after = 5;            ///< failed attempts of one notifier in a row; then its deliveries are held
    Milliseconds first_probe{10'000}, last_probe{900'000};   ///< of a held notifier: the pauses between tries grow from, up to
    bool timer_thread = true;                ///< false in tests: they call run_timers()
    RetentionRules retention;                ///< none by default: everything is kept
    Renderer renderer;                       ///< none: no deliveries are made
    InputMaker input_maker{};                ///< none: a job that another one's end starts gets its trigger's input alone
};

/// Owns the store, the writer thread, the dispatch cache, parked polls and timers. Thread: any, for every member.
/// Every `Done` runs on the writer thread after the commit. Every change writes an audit row.
class Core {
public:
    virtual ~Core() = default;   ///< finishes what was queued, answers parked polls with unavailable

    // Reading: `core.reader()->job(uid)`. The lease goes back to the pool at its end; ends the process when none can be opened.
    using ReaderLease = std::unique_ptr<Reader, std::function<void(Reader*)>>;
    virtual ReaderLease reader() = 0;
    virtual Wakeups& wakeups() = 0;
    virtual std::uint64_t epoch() const = 0;
    virtual const std::string& factory_id() const = 0;
    virtual const CoreOptions& options() const = 0;

    /// An audit row for what changed outside of the store.
    virtual void note(std::string action, std::string kind, std::string subject, Json detail, Who who, Done<Nothing> done) = 0;

    // Settings (small values of the factory itself: its key's public half, …).
    virtual void put_setting(std::string key, std::string value, Done<Nothing> done) = 0;

    // Resources. The caller has validated the spec. `expected_generation`: 0 = any, else conflict when it differs.
    virtual void put_document(std::string kind, std::string name, Json spec, std::uint64_t expected_generation, Who who, Done<Document> done) = 0;
    /// All of them or none; the first one is answered.
    virtual void put_documents(std::vector<DocumentChange> changes, Who who, Done<Document> done) = 0;
    /// conflict: something refers to it, or (unless 0) its generation is another.
    virtual void delete_document(std::string kind, std::string name, std::uint64_t expected_generation, Who who, Done<Nothing> done) = 0;
    void delete_document(std::string kind, std::string name, Who who, Done<Nothing> done) { delete_document(std::move(kind), std::move(name), 0, std::move(who), std::move(done)); }
    /// Where it is applied from: what `apply --prune` of that source may delete. Not a change of the document.
    virtual void set_source(std::string kind, std::string name, std::string source, Who who, Done<Document> done) = 0;

    /// In one transaction with the jobs that go over and the line of its history. Errors: not_found, conflict (the generation is another).
    virtual void move_deployment(VersionOrder order, Who who, Done<VersionMoved> done) = 0;
    /// `most` agents of each kind are named. Errors: not_found; conflict (its package is not there).
    /// Its new version goes to all agents now, not only to those that try it. Errors: not_found, conflict (none is tried).
    virtual void promote_deployment(std::string deployment, std::string why, Who who, Done<Nothing> done) = 0;
    virtual void preflight(std::string deployment, std::size_t most, Done<Preflight> done) = 0;

    // Packages. Errors of put: conflict (the version exists with other bytes). The same bytes again: fine, the same record.
    // `manifest` and `inputs` ({WORKFLOW: input.schema or null}; null: not known) are what its check found. `state`: draft or released; one that is there already keeps its own.
    virtual void put_package(std::string name, std::string version, std::string bytes, Json manifest, Json inputs, PackageState state, Who who, Done<PackageRecord> done) = 0;
    /// The same state again: fine, nothing changes. A decommissioned version makes no more jobs, and those of it that wait do not start.
    /// Errors: not_found, conflict (there is no way from the state that it has).
    virtual void set_package_state(std::string name, std::string version, PackageState state, std::string why, Who who, Done<PackageRecord> done) = 0;
    /// Of one that is published; the caller has held them against it. A key that signed it already: fine, nothing changes.
    /// Errors: not_found, conflict (kMostSignatures).
    virtual void sign_package(std::string name, std::string version, std::vector<protocol::PackageSignature> signatures, Who who, Done<PackageRecord> done) = 0;
    virtual void put_package_inputs(std::string digest, Json inputs, Done<Nothing> done) = 0;   ///< of a package that an earlier program kept
    virtual std::string package_path(std::string_view digest) const = 0;   ///< of the file with the bytes

    virtual void put_credential(std::string name, Json about, std::string sealed, Who who, Done<CredentialRecord> done) = 0;
    virtual void delete_credential(std::string name, Who who, Done<Nothing> done) = 0;

    // Tokens and enrolment codes (stored as SHA-256).
    virtual void put_token(TokenRecord token, Who who, Done<TokenRecord> done) = 0;
    virtual void delete_token(std::string id, Who who, Done<Nothing> done) = 0;
    virtual void touch_token(std::string id) = 0;   ///< last used now; written lazily, at most once a minute
    virtual void put_code(CodeRecord code, Who who, Done<CodeRecord> done) = 0;

    // Agents.
    /// Errors: denied (code unknown, used up or over), conflict (name taken; a code that says `takeOver` takes it), invalid (name outside the code's pattern).
    virtual void enrol(EnrolRequest request, Done<AgentRecord> done) = 0;
    /// Errors: conflict (name taken, and not said to take it over).
    virtual void admit(AdmitRequest request, Who who, Done<AgentRecord> done) = 0;
    /// The agent's key is `new_key` from now on; said again it is fine. Errors: conflict (its key is not `old_key`), not_found,
    /// unavailable (kReplacedKeysMost changes within a day: the keys before would be forgotten).
    virtual void change_key(std::string agent, std::string old_key, std::string new_key, Who who, Done<AgentRecord> done) = 0;
    /// "MACHINE-USER", attended. The same key again: the same agent; another key of the same user takes the place of the one before. Errors: denied
    /// (the machine's agent may not vouch: its words say what an administrator types), invalid (the user), conflict (the name is another's), unavailable (too many).
    virtual void join_session(SessionJoin request, Done<AgentRecord> done) = 0;
    virtual void set_agent(std::string name, AgentPatch patch, Who who, Done<AgentRecord> done) = 0;
    virtual void delete_agent(std::string name, Who who, Done<Nothing> done) = 0;   ///< conflict: it holds jobs
    /// The keys that an agent changed (`change_key`) since it was enrolled, newest first, a bounded number. Any thread; does not wait for the writer.
    virtual Result<std::vector<ReplacedKey>> replaced_keys(const std::string& agent) = 0;
    /// Somebody proved a key of these. True: the agent is frozen, now (audit row) or since before. False: it is the agent itself, whose change of
    /// key was cut short (the other key was never used), or words that were on their way while the key changed.
    virtual void replaced_key_used(ReplacedKeyUse use, Who who, Done<bool> done) = 0;
    /// The answer kept with this jti, or the given one. Errors: denied (a counter not above the last: frozen, audit row), not_found, conflict (its
    /// key was changed meanwhile).
    virtual void step_counter(CounterStep step, Done<std::string> done) = 0;
    virtual void open_session(SessionReport report, Done<SessionAnswer> done) = 0;
    /// Keeps the lines above what is there, the newest kAgentLogLines of them; answers the highest sequence kept.
    virtual void agent_log(std::string agent, std::vector<AgentLogLine> lines, Done<std::uint64_t> done) = 0;
    /// The agent has said all of it again.
    virtual void reported_again(std::string agent, Done<Nothing> done) = 0;
    virtual void holds(Done<std::vector<Hold>> done) = 0;   ///< by environment; empty: as ever
    /// What is awaited there is awaited no longer: it may run twice. Errors: conflict (nothing is held there).
    virtual void release(std::string environment, Who who, Done<Nothing> done) = 0;
    /// What its user may see is fetched now: said in polls again once it has changed. The version of that, which only grows, over restarts, too.
    /// Errors: denied (it is nobody's).
    virtual void person(std::string agent, Done<std::uint64_t> done) = 0;
    /// By what its user may start these triggers' jobs there while this factory is away; those that may not, or could not run there, are left out.
    virtual void offline_terms(std::string agent, std::vector<std::string> triggers, Done<OfflineTerms> done) = 0;
    virtual void goodbye(std::string agent, std::string why, Done<Nothing> done) = 0;
    /// Has the agent examine itself; asked again meanwhile it is the same ask. Errors: not_found, conflict (it is away, or too old for that).
    virtual void ask_doctor(std::string name, Who who, Done<DoctorState> done) = 0;
    virtual void doctor_state(std::string name, Done<DoctorState> done) = 0;
    /// What it found, or why it did not. Errors: conflict (nobody waits for that).
    virtual void doctor_report(std::string agent, std::string id, Result<std::vector<Finding>> findings, Done<Nothing> done) = 0;
    /// A job of the built-in package (protocol/canary.h) for this agent alone, which expires unless it has started `within`. Errors: not_found.
    virtual void run_canary(std::string name, Milliseconds within, Who who, Done<Accepted> done) = 0;
    virtual void package_sent(const AttemptAccess& access) = 0;   ///< for the timeline of a canary
    /// With online, offline_since and holds. Blocks: until the writer thread answers (a commit); not on the writer thread.
    virtual Result<std::vector<AgentRecord>> agents() = 0;

    // The parked poll. `done` runs when there is something, after options().poll with nothing, with conflict when a newer poll of
    // the agent came, with cancelled after unpark. Returns its ticket.
    virtual std::uint64_t park(Poll poll, Done<PollAnswer> done) = 0;
    virtual void unpark(std::string agent, std::uint64_t ticket) = 0;   ///< the connection is gone

    virtual void ingest(std::string agent, std::vector<EventBatch> batches, Done<std::vector<EventAnswer>> done) = 0;
    virtual void renew(std::string agent, std::vector<protocol::AttemptId> held, Done<std::vector<HeldAnswer>> done) = 0;
    /// What a token of kind `attempt` opens. Errors: denied. Does not wait for the writer.
    virtual Result<AttemptAccess> attempt_access(std::string_view token_text) = 0;

    // Files on agents' machines.
    /// Errors: not_found (the agent), denied (it is not to watch for this trigger).
    virtual void file_source(std::string agent, AppearedFile file, Done<FileSource> done) = 0;
    virtual void say_files(std::string agent, std::vector<FileStanding> standing, Done<Nothing> done) = 0;   ///< replaces what it said before
    virtual void trigger_files(std::string trigger, Done<std::vector<FileStanding>> done) = 0;               ///< of all agents that are to watch, by name

    // Jobs.
    /// Errors: not_found (trigger), conflict (the key was used with another body; the trigger is paused or its deployment is missing; the agent that
    /// a person starts it at cannot run it).
    virtual void accept_run(RunRequest request, Who who, Done<Accepted> done) = 0;
    /// Errors: not_found, conflict (it has ended: says how).
    virtual void cancel(std::string job, std::string why, Who who, Done<JobRecord> done) = 0;
    /// A new job with the same input. Errors: conflict (not ended yet).
    virtual void retry(std::string job, bool same_version, Who who, Done<Accepted> done) = 0;
    /// Runs `done` when the job is final or `wait` is over, with its record (input and output included). Errors: not_found.
    virtual void when_final(std::string job, Milliseconds wait, Done<JobRecord> done) = 0;
    virtual void why(std::string job, Done<Why> done) = 0;
    /// Could a job of this trigger run now, and where.
    virtual void why_trigger(std::string trigger, Done<Why> done) = 0;
    /// The same for a job that asks for nothing but this environment.
    virtual void why_environment(std::string environment, Done<Why> done) = 0;
    /// Those that somebody holds or waits for, and those that an Environment gives a number of; by environment and name.
    virtual void locks(Done<std::vector<LockState>> done) = 0;

    // Questions.
    /// Errors: not_found, denied (not the attempt that this agent has), invalid (what is asked), conflict (kOpenQuestions).
    virtual void ask(std::string agent, AskRequest request, Done<QuestionRecord> done) = 0;
    /// It is not wanted any more: the workflow went on without it. One that is not open: fine. Errors: denied.
    virtual void unask(std::string agent, protocol::AttemptId attempt, std::string question, std::string why, Done<Nothing> done) = 0;
    /// One of many at once is taken. Errors: not_found; what was not taken is a value.
    virtual void answer_question(QuestionAnswer answer, Who who, Done<Answered> done) = 0;

    /// Tells the notifiers that listen to questions of an open one again, with other words: what was said to it is no answer. Once for each `key`.
    virtual void remind(std::string question, std::string text, std::string key, Done<Nothing> done) = 0;

    // Deliveries.
    /// At most `limit` that are due, now claimed by the caller until delivery_done or the end of the process.
    virtual void claim_deliveries(std::size_t limit, Done<std::vector<DeliveryRecord>> done) = 0;
    /// Claimed and not tried, since their notifier is held: they wait with the others. Gives how many.
    virtual void put_back_deliveries(std::vector<std::string> ids, Done<std::size_t> done) = 0;
    /// What a claimed delivery of kind `unrendered` has become: its request is stored, and it stays claimed by the caller. Not wanted: it goes. An
    /// Error makes it dead; `unavailable` and `cancelled` put it off. Gives the delivery as it is now, pending while it is to be sent.
    virtual void delivery_rendered(std::string delivery, Result<Rendered> rendered, Done<DeliveryRecord> done) = 0;
    virtual void delivery_done(DeliveryOutcome outcome, Done<DeliveryRecord> done) = 0;
    virtual void resend(std::string delivery, Who who, Done<DeliveryRecord> done) = 0;   ///< due now, whatever its state, and whether its notifier is held or not
    /// The same for all that `query` finds, oldest last, at most its limit; `only_look`: which they would be.
    virtual void resend_all(DeliveryQuery query, bool only_look, Who who, Done<Resent> done) = 0;
    /// A held notifier's deliveries go out now. Errors: conflict (it is not held).
    virtual void resume_notifier(std::string notifier, Who who, Done<NotifierState> done) = 0;
    /// A delivery with event `test` that no job stands behind: rendered by the caller.
    virtual void add_test_delivery(std::string notifier, Json request, Who who, Done<DeliveryRecord> done) = 0;

    /// All or none of them. Errors: conflict (a name has another unit), too_large (too many series).
    virtual void publish(std::vector<MetricPoint> points, Done<Nothing> done) = 0;
    virtual void retention(Done<RetentionState> done) = 0;

    /// Expiry, leases, lost agents, poll timeouts, due deliveries: what is due by the clock. The timer thread calls it.
    virtual void run_timers() = 0;
    /// Waits until all that was queued before is committed and answered.
    virtual void flush() = 0;
};

/// Errors: those of open_store.
Result<std::unique_ptr<Core>> start_core(CoreOptions options, Clock& clock);

/// Waits for an asynchronous operation: `await<Document>([&](auto done) { core.put_document(…, done); })`.
/// Blocks: until its commit. Not on the writer thread.
template <class T, class Start>
Result<T> await(Start start)
{
    auto promise = std::make_shared<std::promise<Result<T>>>();
    auto future = promise->get_future();
    start(Done<T>([promise](Result<T> result) { promise->set_value(std::move(result)); }));
    return future.get();
}

}  // namespace mill::factory
