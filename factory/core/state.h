// factory/core/state.h -- what the writer thread remembers of agents and running attempts. A cache of the store, and clocks. factory/core/ only.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "factory/core_values.h"
#include "factory/file_values.h"
#include "factory/dispatch/board.h"
#include "factory/schedule/schedule.h"
#include "factory/store/writer.h"

namespace mill::factory::core {

struct KnownBinding {
    Binding binding;
    protocol::Permissions permissions;
    dispatch::Needs needs;
    Json secrets{};            ///< its workflow's input.schema, where that knows passwords; else null
};
using BindingRef = std::shared_ptr<const KnownBinding>;   // shared by all jobs of it

constexpr Milliseconds kKeysKept = std::chrono::hours(24);   ///< idempotency keys

enum class Version { current, tried, before };   ///< of a deployment on trial; tried: for the group, before: what the others go on with meanwhile
struct BindingWish {
    bool traced = false, even_paused = false;
    std::string bound{};           ///< id of the agent that alone runs it: its user started it there
    bool pushed = false;           ///< …and somebody else wants it once more
    Version version = Version::current;
    std::string agent{};   ///< the only one that may run it
};

/// Triggers that files on agents' machines start.
struct FileTriggers {
    struct One {
        std::string name, uid, environment;
        Json spec;                       ///< `event.file`
    };
    std::vector<One> all;
    std::uint64_t revision = 1;          ///< raised when agents may have to watch for other files
};

struct Parked {
    std::uint64_t ticket = 0;
    Done<PollAnswer> done;
    SteadyTime until;
    std::uint32_t want = 0;
};

/// The agent's examination of itself: the last ask and the last report.
struct Doctor {
    std::string id, by, problem, report_id;
    WallTime asked;
    SteadyTime until;                    ///< then nobody waits for its report any more
    std::optional<SteadyTime> sent;
    std::optional<WallTime> answered;
    std::vector<Finding> findings;
};

struct Agent {
    AgentKey key = 0;
    AgentRecord record;            ///< online, offline_since and holds are filled in for callers
    bool mode_set = false;         ///< an administrator chose the mode
    bool online = false;
    SteadyTime gap_until;          ///< online without a poll until then
    Milliseconds next_poll{0};     ///< as its last poll said
    std::optional<Parked> parked;
    std::string unable;            ///< as its last poll said
    SteadyTime rest_until;         ///< it said busy: no offers before
    std::set<JobKey> holds;
    bool can_repeat = true;        ///< its program can say again what it did (its last session says so)
    bool asked_again = false;      ///< its session was told to
    std::vector<protocol::AttemptId> drops;
    bool knows_doctor = false;     ///< as its last poll said
    std::optional<std::string> files;   ///< the version of its list of files, as its last poll said; nothing: it watches none
    std::uint64_t files_revision = 0;   ///< of FileTriggers, that `files_due` was made by
    Json files_due;                ///< {version, watches}
    std::vector<FileStanding> files_said;
    WallTime files_said_at;
    std::optional<Doctor> doctor;
    // Of its user.
    bool knows_person = false;     ///< as its last poll said
    std::uint64_t news = 0;        ///< version of what the user may see; 0: never counted
    std::uint64_t fetched = 0, told = 0;   ///< the versions that it fetched, and that a poll said last
    SteadyTime told_at;
    std::map<std::string, Writer::KeptRefusal> refusals;   ///< by trigger
};

/// An assigned, running or waiting job.
struct Active {
    JobKey job = 0;
    std::string uid;
    BindingRef binding;
    int priority = 50;
    protocol::JobState state = protocol::JobState::assigned;
    std::uint32_t attempt = 0;
    std::uint64_t epoch = 1;       ///< that the attempt was made in: older than the store's when that was restored meanwhile
    bool doubtful = false;         ///< of a store of before, and its agent has not spoken of it since: it may have run, and ended
    AgentKey agent = 0;
    Writer::Progress progress;
    std::optional<CancelRequest> cancel;
    bool cancel_sent = false;      ///< by a poll; renewals say it each time
    bool reloaded = false;         ///< read from the store: the process before may have sent the offer
    bool named = false;            ///< the agent has spoken of this attempt
    std::optional<SteadyTime> offered;   ///< when the offer was last sent
    std::string token;             ///< text; empty when it was made by the process before
    std::string token_record;      ///< as stored
    std::optional<Json> input;     ///< until it is named
    SteadyTime renewed;            ///< when the agent last named it, or it was assigned
    WallTime heard;                ///< the same for people
    WallTime created;
    std::optional<WallTime> assigned, started;
    std::optional<WallTime> asking;      ///< the agent's user is asked until then
    bool consented = false;
    std::map<std::string, std::optional<SteadyTime>> answers;   ///< of its questions, that its agent has not heard; when they were sent last
    SteadyTime owed;               ///< when the last of them was given: an agent that is away may take its limit from then on
    std::uint32_t tells = 0;
};

/// Something that a notifier hears of when it has lasted for long enough, or when its time comes. Made anew from the store at each start.
struct Watch {
    std::string notifier, event;
    JobKey job = 0;                ///< waiting: and since its attempt of this number came back
    std::uint32_t attempt = 0;
    AgentKey agent = 0;            ///< offline
    std::string credential;        ///< expiring, expired: its name, and the end it had
    std::string end;
    WallTime since;
};

/// A run of retention that goes on.
struct Retaining {
    enum class Phase { long_logs, jobs, too_many, records, deliveries, feed, audit, keys, minutes, files, space, done };
    bool runs = false;
    Phase phase = Phase::long_logs;
    SweepPlace place;                    ///< within the phase
    WallTime began;
    SteadyTime next;                     ///< when the next run begins
    Microseconds longest{0};             ///< that a step and its commit held the writer
    Microseconds budget{4'000};          ///< of a step's work: less where commits are slow
    std::optional<SteadyTime> step;      ///< began then, and is not committed yet
    std::vector<std::string> folders;    ///< files: still to be listed
    std::shared_ptr<std::filesystem::directory_iterator> listing;
};

/// A trigger that fires by itself.
struct KnownSchedule {
    std::string trigger, uid;      ///< name; of its document
    std::string rule;              ///< what `considered` was counted by
    Schedule schedule;
    Milliseconds catch_up{0};
    std::string overlap;
    WallTime considered;           ///< all that was due by then is decided
    bool kept = false;             ///< the store knows of it
    std::optional<Firing> next;
    std::vector<std::string> open;       ///< jobs that it started and that had not ended when last looked at
    std::vector<FiringRecord> waiting;   ///< for these to end
};

/// How a job ended.
struct Ending {
    protocol::JobState state = protocol::JobState::failed;
    protocol::Reason reason = protocol::Reason::internal;
    Json output, error, evidence;
    WallTime time;
};

/// A version that a group of agents tries, and its jobs that have not ended.
struct KnownTrial {
    Trial trial;
    std::set<JobKey> under_way;
};

/// What stands between an agent and jobs of this binding; `member` false: it belongs to another environment.
struct AgentView {
    bool member = true;
    PreflightAgent::Can can = PreflightAgent::Can::no;
    std::vector<WhyReason> reasons;
    std::optional<WallTime> next;        ///< its user can be asked again then
};

struct Tale {                                  ///< what one notifier is told
    std::string key;                           ///< with notifier and event: told once
    std::string_view event;
    JobKey job = 0;
    std::string subject;
    bool final = false;
};

/// An open question of a job.
struct Asking {
    std::string id;
    std::uint32_t attempt = 0;
};

/// The store is an older one since then.
struct HoldState {
    std::uint64_t epoch = 0;                          // 0: never
    WallTime since, known_to;
    std::string how;
    std::set<std::string> released;
};

/// What jobs of a binding wait for, as said last: until when it is good, and for when they do not wait any more.
struct Waiting {
    std::string text;
    SteadyTime until;
};
struct WaitNote {
    std::string text;
    SteadyTime at;
};

/// The job being accepted.
struct FreshJob {
    JobKey key = 0;
    WaitingJob row;
    Json input;
};

/// An attempt that an agent has without an offer of this store: said again, or begun while this factory was away.
struct HeldAlready {
    JobKey job = 0;
    protocol::AttemptId id;
    WallTime since;
    std::string token_record;   ///< of its attempt's tokens; empty: it has none
};

/// A token that an attempt has now.
struct LiveToken {
    std::string sha256;
    AttemptAccess access;
};

/// Who is told of a job's end, or that it has not come.
struct Waiter {
    Done<JobRecord> done;
    SteadyTime until;
};

}  // namespace mill::factory::core
