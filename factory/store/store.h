// factory/store/store.h -- the factory's memory on disk: readers for everybody, one writer. SQLite behind it (the only SQL).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "factory/store/metric_records.h"
#include "factory/store/question_records.h"
#include "factory/store/records.h"
#include "platform/base/result.h"

namespace mill::factory {

/// Sees what was committed when each call began. One thread at a time; Core::reader() lends one.
/// Errors of all: not_found (where one thing is named), invalid (a cursor), corrupt, unavailable (disk).
class Reader {
public:
    virtual ~Reader() = default;

    virtual Result<Document> document(std::string_view kind, std::string_view name) = 0;
    virtual Result<std::vector<Document>> documents(std::string_view kind) = 0;   ///< by name
    virtual Result<PackageRecord> package(std::string_view package_name, std::string_view version) = 0;
    virtual Result<PackageRecord> package_by_digest(std::string_view digest) = 0;
    virtual Result<std::vector<PackageRecord>> packages() = 0;
    virtual Result<std::vector<SignatureRecord>> signatures(std::string_view digest) = 0;   ///< of one package
    virtual Result<std::vector<SignatureRecord>> signatures() = 0;                          ///< of all, by digest
    /// The versions that a deployment had, newest first. `deployment`: its document's uid.
    virtual Result<std::vector<VersionMove>> version_moves(std::string_view deployment, std::size_t limit) = 0;
    /// How the deployment last came to `version` (NAME@VERSION) or left it; nothing: it never had it. Without `spec`.
    virtual Result<std::optional<VersionMove>> last_move(std::string_view deployment, std::string_view version) = 0;
    virtual Result<std::vector<Trial>> trials() = 0;   ///< under way, by deployment
    virtual Result<Json> package_inputs(std::string_view digest) = 0;   ///< {WORKFLOW: input.schema or null}
    virtual Result<CredentialRecord> credential(std::string_view credential_name) = 0;   ///< with the sealed bytes
    virtual Result<std::vector<CredentialRecord>> credentials() = 0;
    virtual Result<TokenRecord> token(std::string_view id) = 0;
    virtual Result<std::vector<TokenRecord>> tokens(std::string_view kind, std::string_view subject) = 0;   ///< empty: any
    virtual Result<std::vector<CodeRecord>> codes() = 0;
    virtual Result<AgentRecord> agent(std::string_view id) = 0;
    virtual Result<AgentRecord> agent_by_name(std::string_view agent_name) = 0;
    virtual Result<std::vector<AgentRecord>> agents() = 0;   ///< by name

    /// Lines above `after` in order; `after` 0: the newest `limit`. Errors: not_found.
    virtual Result<std::vector<AgentLogLine>> agent_log(std::string_view agent_name, std::uint64_t after, std::size_t limit) = 0;
    /// What came of a schedule's times, newest first; due before `before` (microseconds, 0: any). `trigger`: its document's uid.
    virtual Result<std::vector<FiringRecord>> firings(std::string_view trigger, std::int64_t before, std::size_t limit) = 0;
    virtual Result<JobRecord> job(std::string_view uid) = 0;   ///< with input, output, …
    virtual Result<Page<JobRecord>> jobs(const JobQuery& query) = 0;
    virtual Result<std::vector<WaitingCount>> waiting() = 0;   ///< by trigger, the most first
    virtual Result<std::vector<TimelineRow>> timeline(std::string_view job) = 0;
    /// Events of kind step or log (gaps of that kind included) behind `cursor`, in order; `next` is where to go on, never empty.
    virtual Result<Page<StoredEvent>> events(std::string_view job, protocol::EventKind kind, std::string_view cursor,
                                             std::size_t limit) = 0;
    /// What stale attempts reported after they were superseded.
    virtual Result<std::vector<StoredEvent>> stale_events(std::string_view job) = 0;
    virtual Result<DeliveryRecord> delivery(std::string_view id) = 0;   ///< with its history
    /// What the last answer to this notifier about this job named for later ones; null: nothing.
    virtual Result<Json> kept_answer(std::string_view job, std::string_view notifier) = 0;
    virtual Result<Page<DeliveryRecord>> deliveries(const DeliveryQuery& query) = 0;
    virtual Result<NotifierState> notifier_state(std::string_view notifier) = 0;       ///< of one that never failed: as if made now
    virtual Result<std::vector<NotifierState>> notifier_states() = 0;                  ///< those with failures, without counts
    /// Jobs that this user started at this agent or that ran there while it was theirs, the newest first: uids.
    virtual Result<std::vector<std::string>> person_jobs(std::string_view agent, std::string_view user, std::size_t limit) = 0;
    virtual Result<bool> is_person_job(std::string_view agent, std::string_view user, std::string_view job) = 0;
    virtual Result<QuestionRecord> question(std::string_view id) = 0;
    virtual Result<Page<QuestionRecord>> questions(const QuestionQuery& query) = 0;
    virtual Result<std::vector<FeedRow>> feed(std::uint64_t after, std::size_t limit) = 0;
    virtual Result<std::uint64_t> last_feed_sequence() = 0;
    virtual Result<Page<AuditRow>> audit(const AuditQuery& query) = 0;
    Result<Page<AuditRow>> audit(std::string_view cursor, std::size_t limit) { return audit(AuditQuery{.who = {}, .action = {}, .kind = {}, .subject = {}, .since = {}, .until = {}, .cursor = std::string(cursor), .limit = limit}); }
    /// Follows the chain from its beginning. `head` (32 bytes, may be empty) must be the hash of one of its rows: so a cut end is found.
    /// Blocks: for a read of the whole log.
    virtual Result<AuditVerdict> verify_audit(std::string_view head) = 0;
    // Figures: since … until, oldest first, `most` rows at most.
    virtual Result<std::vector<JobMinute>> job_minutes(WallTime since, WallTime until, std::size_t most) = 0;
    virtual Result<std::vector<DeliveryMinute>> delivery_minutes(WallTime since, WallTime until, std::size_t most) = 0;
    virtual Result<std::vector<PublishedSeries>> published(std::string_view metric) = 0;   ///< "": of every name
    virtual Result<std::vector<PublishedPoint>> points(std::int64_t series, WallTime since, WallTime until, std::size_t most) = 0;
    virtual Result<StoreTotals> totals() = 0;
    virtual Result<std::string> setting(std::string_view key) = 0;
};

class Writer;   // factory/store/writer.h: for factory/core* only

class Store {
public:
    virtual ~Store() = default;
    virtual Writer& writer() = 0;                       ///< for the writer thread only
    virtual Result<std::unique_ptr<Reader>> open_reader() = 0;   ///< Thread: any
    virtual std::string folder() const = 0;
};

/// Opens DIR/factory.db for this process alone (DIR/factory.lock), making or migrating it, with packages in DIR/packages.
/// Errors: conflict (another process has it; a newer program's schema), corrupt, denied, unavailable.
Result<std::unique_ptr<Store>> open_store(const std::string& folder);

/// As Reader::verify_audit, for a folder or backup that no factory need run with; only reads. Errors: not_found, invalid (a store of before there was a chain).
Result<AuditVerdict> verify_audit_of(const std::string& folder, std::string_view head);

}  // namespace mill::factory
