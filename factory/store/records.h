// factory/store/records.h -- what the store keeps, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "protocol/event.h"
#include "protocol/signature.h"
#include "protocol/states.h"

namespace mill::factory {

/// A resource of design.md 8: Environment, Deployment, Trigger, Notifier. (kind, name) is unique.
struct Document {
    std::string kind, name, uid;
    Json spec;                      ///< the whole document as written, `kind` and `name` included
    std::uint64_t generation = 0;   ///< 1 when made, raised by each change
    WallTime created, changed;
    std::string changed_by;
    std::string source{};           ///< of `apply --source`: what may prune it; empty: nothing
};

/// What a published version is for. Numbers stand in the store: append only.
enum class PackageState { draft, released, deprecated, decommissioned };
std::string_view name(PackageState state);
std::optional<PackageState> parse_package_state(std::string_view text);

struct PackageRecord {
    std::string name, version, digest;   ///< "sha256:HEX"
    std::uint64_t size = 0;
    Json manifest;
    WallTime created;
    std::string created_by;
    PackageState state = PackageState::released;
    std::string state_by = {}, state_why = {};      ///< of the last change of `state`; empty: as it was published
    std::optional<WallTime> state_at = {};
};

/// "was decommissioned by admin at 2026-11-27T06:30:00Z: leaks memory"; of one that is as it was published "is released".
std::string state_words(const PackageRecord& package);

/// A publisher's signature of the package with this digest. It was held against the package's name, version and digest when it came.
struct SignatureRecord {
    std::string digest;
    protocol::PackageSignature signature;
    WallTime created;
    std::string created_by;
};

constexpr std::size_t kVersionMoves = 500;   ///< kept of each deployment

/// A deployment's new version that a group of its environment's agents tries before the others (`canary:` of the deployment).
struct Trial {
    std::string deployment;
    Json spec;                     ///< the deployment's before: what all others go on with
    std::uint64_t generation = 0;  ///< of that
    std::string from, to;          ///< NAME@VERSION
    std::string group;
    std::uint64_t jobs = 0;        ///< that have to be successful
    std::uint64_t succeeded = 0;
    WallTime started;
    std::string who;               ///< brought the version
};

/// A line of a deployment's history: what it was, and became.
struct VersionMove {
    WallTime time;
    std::string who, what;           ///< what: applied, rolled_back, rolled_forward, promoted
    std::string from, to;            ///< versions as NAME@VERSION; from is empty of the first, the same as `to` when only its settings changed
    std::string why;
    std::uint64_t generation = 0;    ///< of the deployment, that it made
    std::uint64_t rebound = 0;       ///< waiting jobs that went over to `to`
    Json spec;                       ///< the deployment as it became
};

struct CredentialRecord {
    std::string name;
    Json about;              ///< kind, hosts, environment, expires: nothing secret
    std::string sealed;      ///< encrypted bytes; empty in lists
    std::uint64_t generation = 0;
    WallTime created, changed;
};

/// Whether a member of a credential of `kind` is masked: user names, addresses and a header's name are not.
inline bool is_secret_member(std::string_view kind, std::string_view member)
{
    return member != "username" && member != "clientId" && member != "tokenUrl" && !(kind == "header" && member == "name") &&
           !(kind == "oauth" && (member == "scope" || member == "audience")) && !(kind == "certificate" && member != "key");
}

struct TokenRecord {
    std::string id;          ///< protocol::Token::id
    std::string kind;        ///< admin, user, trigger, env, agent
    std::string sha256;      ///< 32 bytes, of the whole token text
    std::string subject;     ///< what it belongs to: name of a trigger or environment, id of an agent, name of a person
    Json scope;              ///< the owner of the token's meaning decides (factory/agents)
    WallTime created;
    std::optional<WallTime> expires, last_used;
};

struct CodeRecord {
    std::string id, sha256;
    Json terms;              ///< {environment, name (pattern), labels {}, approve, approveIn [], takeOver}
    std::uint32_t uses_left = 1;
    WallTime created, expires;
    std::string created_by;
};

struct AgentRecord {
    std::string id, name;
    std::string public_key;  ///< 32 bytes; empty: revoked
    protocol::AgentMode mode = protocol::AgentMode::unattended;
    std::string environment; ///< it was enrolled in
    Json labels;             ///< {K: V}
    Json facts;              ///< {…} as the agent found them
    bool approved = false, frozen = false, paused = false;
    Json approved_in;        ///< names of environments whose jobs it may be given, "*" for all; null: all (approved before there was such a list)
    std::string user;        ///< the person whose desktop it stands beside ("anna"); empty: nobody's
    bool sessions = false;   ///< people of its machine may have agents of their own made through it
    std::string machine;     ///< id of the agent through which it joined; empty: none
    std::uint32_t slots = 1;
    std::uint64_t counter = 0;   ///< of its last session
    WallTime created;
    std::optional<WallTime> last_seen;
    std::string goodbye;     ///< why it left, when it said so
    // Known by Core only, while it runs (a Reader leaves the defaults):
    bool online = false;
    std::optional<WallTime> offline_since;
    std::vector<std::string> holds;   ///< uids of jobs
};

struct CancelRequest {
    std::string by, why;
    WallTime time;
};

struct JobRecord {
    std::string uid;
    protocol::JobState state = protocol::JobState::ready;
    std::optional<protocol::Reason> reason;
    std::string trigger, deployment, environment, workflow;
    std::string package_name, package_version, package_digest;
    int priority = 50;
    std::uint32_t attempt = 0;       ///< of the latest offer; 0 while there was none
    std::string agent_id, agent;     ///< of the latest attempt
    std::string requested_by;
    std::string retry_of, retried_by;   ///< uids
    WallTime created;
    std::optional<WallTime> expires, assigned, started, ended;
    std::optional<CancelRequest> cancel;
    bool repeatable = false;
    // Filled by Reader::job only, null in lists:
    Json input, context, output, error, evidence;
};

/// One line of a job's timeline, and of the feed. `what` is a job state or a word: cancel_requested, returned, stale_events, …
struct TimelineRow {
    std::uint64_t sequence = 0;
    WallTime time;
    std::string what;
    std::uint32_t attempt = 0;
    std::string agent;
    std::string reason;
    Json detail;
};

/// A change as the event stream tells it. Sequence numbers are durable and rise; one is never passed by a later commit.
struct FeedRow {
    std::uint64_t sequence = 0;
    WallTime time;
    std::string kind;      ///< job, agent, delivery, resource, package
    std::string subject;   ///< uid, name or id
    std::string what;      ///< as TimelineRow::what; for deliveries its state; for agents online, offline, approved, …; resources put, deleted
    Json detail;
};

/// A step, log or gap event of an attempt, as the agent wrote it.
struct StoredEvent {
    std::uint32_t attempt = 0;
    protocol::Event event;
    std::string cursor;    ///< give it back to read on behind this one
};

struct DeliveryAttempt {
    std::uint32_t number = 0;
    WallTime time;
    Json request;            ///< {method, url, headers, body}, secrets masked
    int status = 0;          ///< 0: no answer
    std::string response;    ///< at most 4 KiB
    std::string error;
    Milliseconds took{0};
};

enum class DeliveryState { pending, delivered, dead };
std::string_view name(DeliveryState state);

/// How it goes with a notifier's receiver. Held: its deliveries wait while one now and then is tried.
struct NotifierState {
    std::string notifier;
    std::uint32_t failures = 0;      ///< attempts without success since the last success
    std::optional<WallTime> held_since, next_probe;
    std::uint32_t probes = 0;        ///< since then, all in vain
    std::string why;                 ///< of the last failure
    // Filled by Reader only:
    std::uint64_t pending = 0, dead = 0;   ///< of its deliveries
};

struct DeliveryRecord {
    std::string id;          ///< uid, the same through all attempts
    std::string job, notifier, event;   ///< event: start, success, failure, cancel, expired, waiting, offline, online, frozen, dead, held, expiring, test
    std::string subject;     ///< what it is about when that is no job: "agent/NAME", "delivery/ID", "credential/NAME", "notifier/NAME"
    DeliveryState state = DeliveryState::pending;
    Json request;            ///< rendered once; what it means is between Renderer and the delivery worker
    WallTime created;
    std::optional<WallTime> next_try, finished;
    std::uint32_t attempts = 0;
    std::string error;       ///< of the last attempt, or why it could not be rendered
    bool overtook = false;   ///< sent before an earlier one of the same job and notifier
    bool held = false;       ///< its notifier is held
    std::optional<NotifierState> hold;   ///< of a held one; filled by Reader
    std::vector<DeliveryAttempt> history;   ///< filled by Reader::delivery only
};

constexpr std::size_t kAgentLogLines = 5000;   ///< kept of each agent

/// A line of an agent's own log.
struct AgentLogLine {
    std::uint64_t sequence = 0;      ///< rises within an agent
    WallTime time;
    std::string level, room, text;   ///< level: debug, info, warning, error
};

constexpr std::size_t kFirings = 1000;   ///< kept of each schedule

/// What came of a time at which a schedule was to fire. Numbers stand in the store: append only.
enum class FiringOutcome { started, waiting, skipped, missed, failed };
std::string_view name(FiringOutcome outcome);

struct FiringRecord {
    WallTime due, at;                ///< by the rule; with its jitter
    FiringOutcome outcome = FiringOutcome::started;
    std::string job;                 ///< that it started
    std::string why;                 ///< of another outcome: a sentence
    WallTime decided;
    std::uint64_t times = 1;         ///< `missed`: this one and so many less one before it
};

struct AuditRow {
    std::uint64_t id = 0;
    WallTime time;
    std::string who, remote, action, kind, subject;
    Json detail;
    std::string hash{};       ///< 32 bytes: of this row and the hash before it; the store makes it
};

struct AuditQuery {
    std::string who{}, action{}, kind{}, subject{};   ///< empty: any
    std::optional<WallTime> since{}, until{};         ///< at or after; before
    std::string cursor{};
    std::size_t limit = 50;   ///< newest first
};

/// What became of the chain of hashes through the audit log.
struct AuditVerdict {
    std::uint64_t rows = 0;          ///< that are as they were written
    std::uint64_t last = 0;          ///< id of the last of them
    std::string head;                ///< its hash; 32 zero bytes before the first
    std::uint64_t wrong = 0;         ///< id of the first row that is not; 0: none
    std::string why;                 ///< a sentence; empty: the chain holds
    bool holds() const { return why.empty(); }
};
Json to_json(const AuditVerdict& verdict);   ///< {ok, rows, last, head, wrong?: {id, text}}

template <class T>
struct Page {
    std::vector<T> items;
    std::string next;   ///< cursor of the next page; empty: there is none
};

struct JobQuery {
    std::optional<protocol::JobState> state;
    std::string trigger, deployment, environment, agent;   ///< empty: any
    std::optional<WallTime> since;                         ///< created at or after
    std::string cursor;
    std::size_t limit = 50;   ///< newest first. A page may have fewer, even none, and be followed by others: `next` says so
    bool oldest_first = false;   ///< with a state that is not final
    std::string within{};        ///< environments as "|a|b|"; empty: any
};

/// Ready jobs of one trigger.
struct WaitingCount {
    std::string trigger;
    std::uint64_t jobs = 0;
    std::string oldest;       ///< uid
};

struct DeliveryQuery {
    std::string job, notifier;   ///< empty: any
    std::optional<DeliveryState> state;
    std::string cursor;
    std::size_t limit = 50;   ///< newest first; with `job`, oldest first
    std::string event{};      ///< empty: any
    std::optional<WallTime> since{}, until{};   ///< made at or after; before
    std::string within{};     ///< of jobs in these environments, "|a|b|"; empty: any, and those that no job stands behind
};

/// What retention removed of one kind: jobs, logs, deliveries, events, audit, keys, minutes, files, bytes.
struct RemovedCount {
    std::string kind;
    std::uint64_t ever = 0, run = 0;   ///< run: in the one that goes on, or was cut short
};

struct StoreTotals {
    std::uint64_t ready = 0, assigned = 0, running = 0, waiting = 0, successful = 0, failed = 0, cancelled = 0, expired = 0;
    std::uint64_t deliveries_pending = 0, deliveries_dead = 0;
};

}  // namespace mill::factory
