// factory/store/writer.h -- what the writer thread does to the store: one transaction for many operations. factory/core/ only.
#pragma once

#include <functional>

#include "factory/store/store.h"
#include "factory/store/sweeping.h"

namespace mill::factory {

using JobKey = std::int64_t;     ///< of a job's row: rises with every job
using AgentKey = std::int64_t;

/// A trigger with its deployment and package as they were when a job was accepted. Never changes; shared by many jobs.
struct Binding {
    std::int64_t id = 0;
    std::string key;   ///< unique: uid and generation of trigger and deployment, digest
    std::string trigger, deployment, environment, workflow;
    std::string package_name, package_version, package_digest;
    bool repeatable = false;
    Json variables, credentials, permissions;
    Json rules;        ///< {runOn, requires, labels, concurrency, offlineLimit}: read by factory/dispatch
};

struct NewJob {
    std::string uid;
    std::int64_t binding = 0;
    int priority = 50;
    std::string requested_by, retry_of;
    WallTime created;
    std::optional<WallTime> expires;
    std::string input, context;   ///< JSON texts; empty: null
    std::int64_t turn = 0;        ///< its place among those that wait (factory/dispatch/ageing.h)
    Json asked_by{};              ///< names of others who asked for it: of the job that it repeats or follows
};

/// Which job's end started a job, and those who had asked for that one.
struct Cause {
    JobKey cause = 0;             ///< 0: none did
    std::uint32_t depth = 0;      ///< ends of jobs since somebody asked
    Json asked_by;
};

/// What changes in a job's row; members that are not set stay.
struct JobChange {
    JobKey job = 0;
    protocol::JobState state = protocol::JobState::ready;
    std::optional<protocol::Reason> reason;
    std::optional<WallTime> started, ended;
    std::optional<WallTime> closed{};   ///< of a final state: by the factory's clock
};

struct NewAttempt {
    JobKey job = 0;
    std::uint32_t attempt = 0;
    AgentKey agent = 0;
    WallTime assigned;
    std::string token;   ///< "ID HEX" of each valid token, separated by ';'
    std::uint64_t epoch = 1;
};

/// An attempt that was not final when the store was opened, and its job.
struct ActiveAttempt {
    JobKey job = 0;
    std::string uid;
    std::int64_t binding = 0;
    int priority = 50;
    protocol::JobState state = protocol::JobState::assigned;
    std::uint32_t attempt = 0;
    std::uint64_t epoch = 1;
    AgentKey agent = 0;
    std::uint64_t acknowledged = 0, bytes = 0, lost_steps = 0, lost_logs = 0;
    std::string token;
    std::optional<CancelRequest> cancel;
    WallTime created;
    std::optional<WallTime> assigned, started;
};

/// What assigning a job needs of its row.
struct WaitingJob {
    std::string uid;
    std::int64_t binding = 0;
    int priority = 50;
    std::uint32_t attempt = 0;   ///< of the last offer
    WallTime created;
    std::string input;           ///< JSON text; empty: null
};

struct AttemptRow {
    JobKey job = 0;
    std::uint32_t attempt = 0, latest = 0;   ///< latest: of its job
    AgentKey agent = 0;
    std::uint64_t epoch = 1;
    std::uint64_t acknowledged = 0, bytes = 0;
    protocol::JobState job_state = protocol::JobState::ready;
};

struct NewFeed {
    WallTime time;
    std::string_view kind;
    JobKey job = 0;               ///< 0: `subject` says what
    std::string_view subject;
    std::string_view what;
    std::uint32_t attempt = 0;
    std::string_view agent, reason;
    Json detail;
};

struct NewDelivery {
    std::string id, notifier, event;
    JobKey job = 0;               ///< 0: `subject` says what, or a test
    std::string subject{};        ///< as DeliveryRecord has it
    bool held = false;            ///< its notifier is held
    bool final = false;           ///< of a final state: may overtake
    DeliveryState state = DeliveryState::pending;
    WallTime created;
    std::optional<WallTime> next_try;
    Json request;
    std::string error;
};

struct IdempotencyRow {
    std::string body_sha256;
    std::string job;   ///< uid
};

/// Within begin() … commit(). Errors: unavailable (disk), conflict (a constraint), corrupt, internal.
class Writer {
public:
    virtual ~Writer() = default;
    virtual Sweeper& sweeper() = 0;
    virtual Reader& read() = 0;   ///< sees what this transaction wrote

    virtual Status begin() = 0;
    virtual Status commit() = 0;      ///< durable when it returns
    virtual void rollback() = 0;
    virtual Status savepoint() = 0;
    virtual Status release() = 0;
    virtual void rollback_to_savepoint() = 0;

    virtual Status put_setting(std::string_view key, std::string_view value) = 0;
    virtual Status put_document(const Document& document) = 0;
    virtual Status delete_document(std::string_view kind, std::string_view name) = 0;
    /// Makes the file with the package's bytes durable (before the row).
    virtual Status put_package(const PackageRecord& package, std::string_view bytes) = 0;
    virtual Status package_state(const PackageRecord& package) = 0;   ///< its state, by whom, when and why
    virtual Status put_signature(const SignatureRecord& signature) = 0;
    virtual Status put_version_move(std::string_view deployment, const VersionMove& move) = 0;   ///< the newest kVersionMoves stay
    virtual Status delete_version_moves(std::string_view deployment) = 0;
    virtual Status put_trial(const Trial& trial) = 0;
    virtual Status delete_trial(std::string_view deployment) = 0;
    virtual Status put_package_inputs(std::string_view digest, const Json& inputs) = 0;
    virtual Status put_credential(const CredentialRecord& credential) = 0;
    virtual Status delete_credential(std::string_view name) = 0;
    virtual Status put_token(const TokenRecord& token) = 0;
    virtual Status delete_token(std::string_view id) = 0;
    virtual Status touch_token(std::string_view id, WallTime when) = 0;
    virtual Status put_code(const CodeRecord& code) = 0;
    virtual Result<CodeRecord> code(std::string_view id) = 0;
    virtual Result<std::string> code_used_by(std::string_view id, std::string_view public_key) = 0;   ///< agent's uid; not_found
    virtual Status use_code(std::string_view id, std::string_view public_key, std::string_view agent) = 0;
    virtual Status audit(const AuditRow& row) = 0;

    /// Lines above what is kept; of an agent's lines the newest kAgentLogLines stay. Answers the highest sequence.
    virtual Result<std::uint64_t> add_agent_log(AgentKey key, const std::vector<AgentLogLine>& lines) = 0;
    virtual Result<AgentKey> insert_agent(const AgentRecord& agent) = 0;
    virtual Status update_agent(AgentKey key, const AgentRecord& agent, bool mode_set) = 0;   ///< all but key, counter, last seen
    /// An empty key: none fits. `anew`: the session counter begins again, too.
    virtual Status agent_key(AgentKey key, std::string_view public_key, bool anew) = 0;
    virtual Status delete_agent(AgentKey key) = 0;
    virtual Status seen_agent(AgentKey key, WallTime when, std::string_view goodbye) = 0;
    virtual Status step_counter(AgentKey key, std::uint64_t counter, std::string_view jti, std::string_view answer) = 0;
    struct Counter { std::uint64_t counter = 0; std::string jti, answer; };
    virtual Result<Counter> counter(AgentKey key) = 0;
    struct KeptAgent { AgentKey key = 0; AgentRecord agent; bool mode_set = false; std::uint64_t reported = 0; };
    virtual Result<std::vector<KeptAgent>> load_agents() = 0;
    /// A person started it at this agent (`launch`: the agent's own id of that), or it ran there; `user`: whose agent that was.
    virtual Status put_person_job(AgentKey agent, JobKey job, std::string_view user, std::string_view launch) = 0;
    virtual Result<std::string> launched(AgentKey agent, std::string_view user, std::string_view launch) = 0;   ///< uid of the job; not_found
    virtual Result<std::string> launch_of(JobKey job) = 0;                               ///< empty: no person started it at an agent
    /// Until when the agent's user is not asked for jobs of the trigger again, and what was said.
    struct KeptRefusal { AgentKey agent = 0; std::string trigger, choice, who; WallTime said, until; };
    virtual Status put_refusal(const KeptRefusal& refusal) = 0;   ///< in place of the one before
    virtual Status forget_refusals(AgentKey agent, WallTime until) = 0;   ///< of this agent, those that end by then
    virtual Result<std::vector<KeptRefusal>> refusals() = 0;
    /// The agent has said again what it did before this epoch.
    virtual Status reported_agent(AgentKey key, std::uint64_t epoch) = 0;

    /// How far a schedule's times are decided, and under which rule.
    struct KeptSchedule { std::string rule; WallTime considered; };
    virtual Result<std::optional<KeptSchedule>> schedule(std::string_view trigger) = 0;
    virtual Status put_schedule(std::string_view trigger, const KeptSchedule& schedule) = 0;
    virtual Status delete_schedule(std::string_view trigger) = 0;                 ///< with its firings
    virtual Status put_firing(std::string_view trigger, const FiringRecord& firing) = 0;   ///< or changes it; the newest kFirings stay
    virtual Result<std::vector<FiringRecord>> waiting_firings(std::string_view trigger) = 0;   ///< oldest first
    virtual Result<std::vector<std::string>> open_firings(std::string_view trigger) = 0;   ///< jobs that it started and that have not ended

    virtual Result<std::int64_t> put_binding(const Binding& binding) = 0;   ///< the id; the same key gives the same id
    virtual Result<Binding> binding(std::int64_t id) = 0;
    virtual Result<std::vector<std::pair<std::int64_t, std::size_t>>> ready_counts() = 0;   ///< bindings with ready jobs, and how many
    /// Ready jobs of a binding with their turns, the next one first.
    virtual Result<std::vector<std::pair<JobKey, std::int64_t>>> first_ready(std::int64_t binding, std::size_t limit) = 0;
    /// How many of the binding come before this one, counted up to `most`.
    virtual Result<std::size_t> ready_before(JobKey job, std::int64_t binding, std::int64_t turn, std::size_t most) = 0;
    /// Every ready job's turn anew. Errors of `turn`: none.
    virtual Status count_turns(const std::function<std::int64_t(int priority, WallTime created)>& turn) = 0;
    virtual Result<std::vector<ActiveAttempt>> load_active() = 0;

    virtual Result<JobKey> insert_job(const NewJob& job) = 0;
    virtual Result<JobKey> job_key(std::string_view uid) = 0;
    virtual Result<WaitingJob> waiting_job(JobKey job) = 0;
    virtual Result<std::int64_t> binding_id(std::string_view key) = 0;   ///< errors: not_found
    virtual Result<std::int64_t> job_binding(JobKey job) = 0;
    virtual Status change_job(const JobChange& change) = 0;
    /// All that are ready go to another binding of the same trigger; how many. One statement: thousands would each look through what the savepoint keeps.
    virtual Result<std::uint64_t> rebind_ready(std::int64_t from, std::int64_t to) = 0;
    virtual Status cancel_job(JobKey job, const CancelRequest& request) = 0;
    virtual Status retried_job(JobKey job, std::string_view by) = 0;
    virtual Status insert_outcome(JobKey job, const Json& output, const Json& error, const Json& evidence) = 0;
    /// The job's texts as stored: {input, context}.
    virtual Result<std::pair<std::string, std::string>> job_input(JobKey job) = 0;
    virtual Status assign(const NewAttempt& attempt) = 0;   ///< makes the row, and the job assigned
    /// As `assign`, of a job in whatever state that is not final; the row of such an attempt is replaced.
    virtual Status adopt(const NewAttempt& attempt) = 0;
    virtual Status attempt_token(JobKey job, std::uint32_t attempt, std::string_view token) = 0;
    virtual Result<AttemptRow> attempt(std::string_view job, std::uint32_t attempt) = 0;
    struct Progress { std::uint64_t acknowledged = 0, bytes = 0, lost_steps = 0, lost_logs = 0; };
    virtual Status long_log(JobKey job, std::uint32_t attempt) = 0;   ///< its middle is to be moved into a file
    virtual Status progress(JobKey job, std::uint32_t attempt, const Progress& progress) = 0;
    /// Kept as one opaque value; the number of bytes it takes. `events` is not empty and in order.
    virtual Result<std::uint64_t> append_events(JobKey job, std::uint32_t attempt, const std::vector<protocol::Event>& events, bool stale) = 0;
    virtual Result<std::uint64_t> append_feed(const NewFeed& row) = 0;
    /// The next number of the feed is above every one that a store of before may have given.
    virtual void skip_feed() = 0;

    virtual Result<IdempotencyRow> idempotency(std::string_view scope, std::string_view key, WallTime since) = 0;
    virtual Status put_idempotency(std::string_view scope, std::string_view key, std::string_view sha, JobKey job, WallTime now) = 0;

    virtual Result<std::vector<JobKey>> due_to_expire(WallTime now, std::size_t limit) = 0;
    virtual Result<std::optional<WallTime>> next_expiry() = 0;

    struct EndedJob {
        WallTime time;
        std::int64_t binding = 0;
        protocol::JobState state = protocol::JobState::failed;
        protocol::Reason reason = protocol::Reason::internal;
        std::optional<Microseconds> delay, run;   ///< of one that an agent had
    };
    virtual Status count_job(const EndedJob& job) = 0;
    virtual Status count_delivery(WallTime time, std::string_view notifier, std::string_view outcome) = 0;   ///< as DeliveryMinute
    /// Errors: conflict (the name has another unit), too_large (too many series).
    virtual Status publish(const MetricPoint& point, WallTime now) = 0;
    virtual Status insert_question(JobKey job, const QuestionRecord& question) = 0;
    virtual Status close_question(const QuestionRecord& question) = 0;   ///< state, answer, comment, by whom, which way, when, why; of an open one
    struct OpenQuestion { std::string id; JobKey job = 0; std::uint32_t attempt = 0; };
    virtual Result<std::vector<OpenQuestion>> open_questions() = 0;
    /// Answered or expired, of the attempts that run.
    virtual Result<std::vector<OpenQuestion>> answered_questions() = 0;
    virtual Result<std::vector<std::string>> due_questions(WallTime now, std::size_t limit) = 0;   ///< ids, of attempts
    virtual Status job_expires(JobKey job, std::optional<WallTime> when) = 0;
    /// Errors: conflict (this end has started a job of this trigger). `trigger`: its document's uid.
    virtual Status put_cause(JobKey job, std::string_view trigger, const Cause& cause) = 0;
    virtual Result<Cause> cause(JobKey job) = 0;
    virtual Result<bool> has_caused(JobKey cause, std::string_view trigger) = 0;

    virtual Status insert_delivery(const NewDelivery& delivery) = 0;
    /// Pending, due and not claimed, in the order of each (job, notifier); now claimed until change_delivery or the next start.
    virtual Result<std::vector<DeliveryRecord>> due_deliveries(WallTime now, WallTime overtake_before, std::size_t limit) = 0;
    virtual Result<std::optional<WallTime>> next_delivery() = 0;
    virtual Status change_delivery(const DeliveryRecord& delivery) = 0;   ///< state, next try, finished, attempts, error, overtook, held
    virtual Status set_delivery_request(std::string_view delivery, const Json& request) = 0;
    virtual Status set_delivery_kept(std::string_view delivery, const Json& kept) = 0;
    virtual Status remove_delivery(std::string_view delivery) = 0;   ///< one without attempts
    virtual Status put_callback(JobKey job, const Json& spec) = 0;
    virtual Result<Json> callback(JobKey job) = 0;                   ///< null: it has none
    virtual Status put_notifier_state(const NotifierState& state) = 0;
    virtual Status hold_deliveries(std::string_view notifier) = 0;   ///< all that are pending and not claimed
    virtual Status release_deliveries(std::string_view notifier, WallTime now) = 0;   ///< all that are held: due at once
    /// The held one that was tried longest ago and may go, now claimed; nothing when there is none.
    virtual Result<std::optional<DeliveryRecord>> probe_delivery(std::string_view notifier) = 0;
    struct WaitingSince { JobKey job = 0; std::int64_t binding = 0; std::uint32_t attempt = 0; WallTime since; };
    virtual Result<std::vector<WaitingSince>> waiting_since() = 0;   ///< every ready job, and when it last became that
    virtual Status insert_delivery_attempt(std::string_view delivery, const DeliveryAttempt& attempt) = 0;
    virtual Result<JobKey> delivery_job(std::string_view delivery) = 0;   ///< 0: none

    /// Pages not yet moved from the log to the database; and moving them.
    virtual void tidy() = 0;
};

}  // namespace mill::factory
