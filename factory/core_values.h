// factory/core_values.h -- what is given to and got from factory/core.h.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "factory/question_values.h"
#include "factory/store/records.h"
#include "platform/base/finding.h"
#include "protocol/offer.h"

namespace mill::factory {

/// Called once, on the writer thread, after the commit that makes it true. Must not block.
template <class T> using Done = std::function<void(Result<T>)>;
struct Nothing {};

/// Who asks: for the audit log, and shown with cancels and retries.
struct Who {
    std::string name;     ///< "admin", "user anna", "trigger order-status-api", "agent srv-1"
    std::string remote;   ///< address, may be empty
};

/// A person's start that its agent did not have to wait with: the factory was away, and `terms` of `offline_terms` were known there.
struct Begun {
    protocol::AttemptId id;             ///< the agent's own; its first attempt
    std::string terms;
    WallTime asked;                     ///< by that machine's clock
};

struct RunRequest {
    std::string trigger;                ///< name
    Json input;                         ///< already checked and merged over the trigger's own
    Json context;                       ///< invocationContext
    std::optional<int> priority;        ///< else the trigger's, else 50
    std::optional<Milliseconds> expiration;   ///< else the trigger's, else none
    std::string idempotency_key;        ///< empty: none. Scope: trigger and who
    std::string body_sha256;            ///< compared when the key was seen before
    bool trace = false;                 ///< its steps keep their input and output
    std::string launch_agent{}, launch{};   ///< a person starts it at this agent (id), under the agent's own id of that: twice is the same job. Else empty
    std::optional<Begun> begun{};       ///< …and it runs, or ran, there already
    std::string uid{};                  ///< of the job, when its cause has a name of its own; a job that is there is the same run
    std::string agent{};                ///< name of the only one that may run it; empty: any that fits
    Json callback{};                    ///< {url, secret}: who is told of its end, as the caller asks and the trigger allows; null: nobody
};

struct Accepted {
    JobRecord job;          ///< without input and output
    bool repeated = false;  ///< the key was known: nothing new was made
    std::string waiting_for;   ///< a sentence while ready, else empty
};

// --- retention --------------------------------------------------------------------------------------------------------

/// How long what is over is kept; nothing: for ever.
struct RetentionRules {
    std::optional<Milliseconds> jobs, logs, deliveries, audit, events, metrics;
    std::uint64_t jobs_most = 0;      ///< final ones; 0: any number
    Milliseconds every{600'000};
};

/// What is old enough to go now, counted up to kDueCounted.
constexpr std::uint64_t kDueCounted = 10'000;
struct RetentionDue {
    std::uint64_t jobs = 0, deliveries = 0, audit = 0;
};

struct RetentionState {
    RetentionRules rules;
    bool running = false;
    Json last;                        ///< {startedAt, endedAt, longestStepMs, removed {KIND: N}} of the last run; null: none yet
    std::vector<RemovedCount> removed;
    RetentionDue due;
};

// --- agents -----------------------------------------------------------------------------------------------------------

struct EnrolRequest {
    std::string code_id, code_sha256;   ///< of protocol::Token
    std::string name, public_key;
    std::optional<protocol::AgentMode> mode;   ///< nothing: as the invitation says, else unattended
    Json facts;
};

/// An administrator admits a machine that asked (factory/agents/admissions.h).
struct AdmitRequest {
    std::string name, public_key;
    protocol::AgentMode mode = protocol::AgentMode::unattended;
    std::string environment;
    Json labels, facts;
    Json approve_in;          ///< environments besides its own
    std::string user{};       ///< whose agent it is; empty: nobody's, or of a name that is taken over whoever's it was
    bool take_over = false;   ///< of the agent that has the name: its key ends, its jobs and history stay
    std::string code;         ///< for the audit log
};

struct AgentPatch {
    std::optional<protocol::AgentMode> mode;
    std::optional<Json> labels;          ///< replaces
    std::optional<std::string> environment;
    std::optional<bool> approved, paused, frozen;   ///< approved: for its own environment
    std::optional<Json> approved_in;     ///< replaces; approves, when there is one in it
    std::optional<std::string> user{};   ///< whose agent it is; empty: nobody's
    std::optional<bool> sessions{};      ///< as AgentRecord has it
    bool revoked = false;                ///< its key ends for good; only enrolling it again mends that
};

/// A person's agent that a machine's agent vouches for: the system there says who that is.
struct SessionJoin {
    std::string machine;     ///< id of the agent that vouches
    std::string user;        ///< of the operating system
    std::string public_key;
    Json facts;
};

struct SessionReport {
    std::string agent;   ///< id
    std::optional<protocol::AgentMode> mode;   ///< as the agent was started; ignored once an administrator set another
    std::uint32_t slots = 1;
    Json facts;
    std::vector<protocol::AttemptId> held;
    struct Seen {
        protocol::AttemptId id;
        std::uint64_t acknowledged = 0;
    };
    std::vector<Seen> seen{};  ///< what it was told to be acknowledged of those held, and of the one that ended last
    bool can_repeat = false;   ///< it can say again what was acknowledged
};

/// Whether an attempt may still write: current; stale (another attempt took its place); final (the job has ended).
enum class Standing { current, stale, final };
std::string_view name(Standing standing);

struct HeldAnswer {
    protocol::AttemptId id;
    Standing standing = Standing::stale;
    std::uint64_t acknowledged = 0;
    std::optional<CancelRequest> cancel;
};

struct SessionAnswer {
    AgentRecord agent;
    std::uint64_t epoch = 1;
    std::vector<HeldAnswer> held;
    Json revoked{};              ///< keys of publishers that were revoked
    bool report_again = false;   ///< this store is an older one: what the agent did has to be said again
};

struct CounterStep {
    std::string agent;     ///< id
    std::uint64_t counter = 0;
    std::string jti;
    std::string answer;    ///< opaque; kept with the jti
    std::string key;       ///< that proved it; another one than the agent has by now counts for nothing. Empty: not looked at
};

/// A key that an agent changed for another. Who still proves it, after the other one was used, has a copy, or was robbed of it.
struct ReplacedKey {
    std::string public_key;   ///< 32 bytes
    WallTime time;            ///< of the change
    bool other_used = false;  ///< the key that came instead opened a session
};
struct ReplacedKeyUse {
    std::string agent;        ///< id
    std::string public_key;   ///< that proved the assertion
    WallTime made;            ///< the assertion, at the earliest
};

struct OfferAnswer {
    protocol::AttemptId id;
    bool busy = false;     ///< else: not held
    std::string why;
    /// What its user says to a job of somebody else. Declined with `busy`.
    struct Consent {
        enum class Word { asking, given, declined } word = Word::asking;
        std::string choice;              ///< now; later, not_today, none
        std::optional<WallTime> until;   ///< asked until then; not asked again before
    };
    std::optional<Consent> consent{};
};

struct Poll {
    std::string agent;     ///< id
    std::uint32_t want = 0;
    std::vector<OfferAnswer> answers;
    std::string unable;    ///< why this machine can run no job at all at the moment; shown by `why`
    std::optional<Milliseconds> wait{};   ///< how long it stays parked at most; else, and at most, options().poll
    Milliseconds next{0};  ///< an agent that is not subscribed: it asks again after this time, and is there meanwhile
    bool knows_doctor = false;   ///< it can be asked to examine itself
    bool knows_person = false;   ///< it fetches what its user may see when that has changed
    Json session{};              ///< its desktop changed: {state, user, since, display}; else null
    std::vector<std::string> heard{};    ///< questions whose answers its jobs have
    std::optional<std::string> files{};   ///< it watches for files: the version of the list that it has, or empty
};

struct CancelOrder {
    protocol::AttemptId id;
    std::string by, why;
};

/// What became of a question that an attempt asked.
struct AnswerOrder {
    protocol::AttemptId id;
    QuestionRecord question;
};

struct PollAnswer {
    std::vector<protocol::Offer> offers;
    std::vector<CancelOrder> cancels;
    std::vector<protocol::AttemptId> drop;   ///< attempts that the agent need not keep any longer
    Json revoked;                            ///< keys of publishers that were revoked, said with offers; else null
    std::vector<AnswerOrder> answered;       ///< again and again, until the agent has heard them
    std::string doctor;                      ///< it is asked to examine itself, under this id; empty: not
    std::vector<Json> consents{};            ///< one for each of `offers`: {asker, trigger, title, description, expectedMs} where its user is to be asked; else null
    Json files{};                            ///< {version, watches: [{trigger, path, settledMs}]}: what it watches from now on; null: as before
    std::uint64_t person = 0;                ///< what its user may see has this version now; 0: nothing new
};

/// By trigger: an Offer as JSON without what is of one job (its id and token); `input` is the trigger's own, `terms` names the binding.
using OfflineTerms = std::map<std::string, Json>;

/// How it stands with an agent's examination of itself, and what the last one found. In memory: a restart of the factory forgets it.
struct DoctorState {
    std::string agent;                    ///< name
    enum class Stage { none, asked, answered, failed } stage = Stage::none;
    std::string id, by;                   ///< of the ask; who asked
    WallTime asked;
    std::string problem;                  ///< of `failed`
    std::string report_id;                ///< the ask that `findings` answer; empty: there are none
    std::optional<WallTime> answered;
    std::vector<Finding> findings;
};

struct EventBatch {
    protocol::AttemptId id;
    /// A member that was no valid event is an Error: it becomes a tombstone and is acknowledged.
    struct Item {
        std::uint64_t sequence = 0;
        Result<protocol::Event> event;
    };
    std::vector<Item> events;
    Json offer{};   ///< what was acknowledged is said again: the attempt as it was offered, and its events, perhaps not all; else null
};

/// Where nothing starts and nothing is delivered, because the store is an older one and agents have not said again what they did.
struct Hold {
    std::string environment;
    std::vector<std::string> agents;   ///< that are awaited
    std::vector<std::string> unable;   ///< of them: those whose program is too old to say it again
    WallTime since;                    ///< when the store was restored, or found to be an older one
    WallTime known_to;                 ///< what happened later and no agent says again is lost
    std::string why;
    std::string command;               ///< that releases it
};

struct EventAnswer {
    protocol::AttemptId id;
    std::uint64_t acknowledged = 0;
    Standing standing = Standing::stale;
    struct Refused {
        std::uint64_t sequence = 0;
        std::string why;
    };
    std::vector<Refused> refused;
};

/// What an attempt token opens.
struct AttemptAccess {
    protocol::AttemptId id;
    std::string agent;            ///< id
    std::string package_digest;
    Json credentials;             ///< NAME in the package → name in the factory
    std::string environment, deployment;
    Json permissions;             ///< granted
};

// --- why --------------------------------------------------------------------------------------------------------------

/// One reason why a job is not further, or how it ended.
struct WhyReason {
    std::string code;      ///< stable: schedule (when it fires next), package_decommissioned, package_deprecated, no_trigger, trigger_paused, credential_expired, credential_elsewhere, agent_offline, agent_attended, agent_unattended, agent_paused, agent_not_approved, agent_frozen, agent_revoked, missing_fact, missing_label, missing_credential,
                           ///< slots_full, agent_busy, agent_unable, agent_doctor, other_agent, private_environment, session_none, session_other_user, session_locked, session_presentation,
                           ///< consent_asked, consent_given, consent_later, consent_refused, consent_none, agent_refuses, package_unsigned, not_in_environment, no_agents, environment_missing, trigger_concurrency, agent_silent,
                           ///< cancel_sent, awaits_reports, approval, question, lock_held, priority (it has risen), running, ended, retried, offered, queue, free, waited (before, and for how long), not_in_group, canary_under_way
    std::string subject;   ///< agent, trigger or environment
    std::string text;      ///< a sentence without final period, with the command that mends it in backquotes
    std::string command;   ///< that command, or empty
};

/// A lock of an environment: at most `slots` jobs hold it at a time, each from its assignment to its end.
struct LockState {
    std::string environment, name;
    std::uint32_t slots = 1;
    struct Holder {
        std::string job, trigger, agent;
        WallTime since;
    };
    std::vector<Holder> holders;         ///< who has it for longest first
    struct Waiter {
        std::string trigger;
        std::uint64_t jobs = 0;
    };
    std::vector<Waiter> waiting;         ///< whose jobs need it and are ready, by name
};

struct Why {
    std::string job;
    protocol::JobState state = protocol::JobState::ready;
    std::string summary;
    std::vector<WhyReason> reasons;
};

/// Which agents could run a deployment's jobs, from what holds at this moment.
struct PreflightAgent {
    std::string name, version;   ///< of its program; empty: it has not said yet
    enum class Can { now, later, no } can = Can::no;   ///< later: it fits, and is away or busy
    std::vector<WhyReason> reasons;                    ///< what stands in the way
};

struct Preflight {
    std::string deployment, package, environment;   ///< package: NAME@VERSION
    std::string summary;
    std::uint64_t now = 0, later = 0, no = 0;       ///< agents of the environment
    bool blocked = false;                           ///< one of `problems` keeps every job from starting
    std::vector<WhyReason> problems;                ///< of the deployment, whoever is there
    Json values = Json::object();                   ///< {variables, credentials}: {NAME: {value, from: deployment, environment or package}}
    std::vector<PreflightAgent> agents;             ///< of each of the three the first ones by name, `now` first
};

/// A document as it is to be; `expected` as in Core::put_document.
struct DocumentChange {
    std::string kind, name;
    Json spec;
    std::uint64_t expected = 0;
};

/// A deployment goes to another of its versions.
struct VersionOrder {
    std::string deployment;
    Json spec;                       ///< as it is to be; validated
    std::uint64_t generation = 0;    ///< that the caller saw
    std::string what, why;           ///< as VersionMove::what
    bool rebind_waiting = false;     ///< its jobs that are ready go over, too
};

struct VersionMoved {
    Document document;
    std::uint64_t rebound = 0;   ///< waiting jobs that went over
    std::uint64_t left = 0;      ///< that could not: their trigger is gone, or starts another deployment now
};

// --- notifications ----------------------------------------------------------------------------------------------------

/// What happened, for one notifier. Both are whole documents; `job` is
/// {event, time, job {uid, state, reason, trigger, deployment, environment, package {name, version, digest}, workflow, attempt, agent,
///  priority, retryOf}, trigger {name}, invocationContext, input, output, error, evidence, timings {created, assigned, started, ended}};
/// for `waiting` besides why {text, summary, reasons [], since, waited}; for `question` besides question {id, kind, text, mark, by, schema, deadline, command}; what is about no job has instead of job and what follows it one of
/// agent {name, environment, mode, labels, online, offlineSince, goodbye, paused, frozen, jobs}, credential {name, kind, environment, expires},
/// delivery {id, notifier, event, error, tries, createdAt} (with the job's uid and names, when it is of one), notifier {name, why, heldSince}.
struct Notification {
    std::string delivery;   ///< id
    std::string event;      ///< as DeliveryRecord::event
    Json job;
    Json notifier;
};

/// The request to send, rendered once and stored. `wanted` false (its `when` says no): no delivery is made. A request of kind `unrendered` is
/// rendered by the delivery worker (Core::delivery_rendered), before it is sent.
struct Rendered {
    bool wanted = true;
    Json request;
};

/// Pure and quick: runs on the writer thread within the job's transaction. An Error makes a dead delivery that shows it.
using Renderer = std::function<Result<Rendered>(const Notification&)>;

/// The input of a job that another one's end starts: what its trigger says, filled in from that job's document. As pure and quick.
using InputMaker = std::function<Result<Json>(const Json& trigger, const Json& document)>;

struct Resent {
    std::vector<DeliveryRecord> items;     ///< without history
    std::vector<DeliveryRecord> refused;   ///< that could not be rendered: there is nothing to send
    bool more = false;                     ///< the limit cut it off
};

struct DeliveryOutcome {
    std::string id;
    enum class Verdict { delivered, retry, give_up } verdict = Verdict::retry;
    DeliveryAttempt attempt;     ///< number and time are set by Core
    std::optional<Milliseconds> retry_after;   ///< of a retry; without it Core's own back-off
    Json kept{};                 ///< of the answer, for later deliveries about the same job (Reader::kept_answer); null: nothing
};

}  // namespace mill::factory
