// factory/store/sqlite_reader.h -- Reader on one SQLite connection. factory/store/ only.
#pragma once

#include <map>

#include "factory/store/sqlite.h"
#include "factory/store/writer.h"

namespace mill::factory::sqlite {

class SqliteReader final : public Reader {
public:
    SqliteReader(Database& db, std::string folder) : db_(db), folder_(std::move(folder)) {}   ///< lent
    SqliteReader(std::unique_ptr<Database> db, std::string folder) : own_(std::move(db)), db_(*own_), folder_(std::move(folder)) {}

    Result<Document> document(std::string_view kind, std::string_view name) override;
    Result<std::vector<Document>> documents(std::string_view kind) override;
    Result<PackageRecord> package(std::string_view package_name, std::string_view version) override;
    Result<PackageRecord> package_by_digest(std::string_view digest) override;
    Result<std::vector<PackageRecord>> packages() override;
    Result<std::vector<SignatureRecord>> signatures(std::string_view digest) override;
    Result<std::vector<SignatureRecord>> signatures() override;
    Result<std::vector<VersionMove>> version_moves(std::string_view deployment, std::size_t limit) override;
    Result<std::optional<VersionMove>> last_move(std::string_view deployment, std::string_view version) override;
    Result<std::vector<Trial>> trials() override;
    Result<Json> package_inputs(std::string_view digest) override;
    Result<CredentialRecord> credential(std::string_view credential_name) override;
    Result<std::vector<CredentialRecord>> credentials() override;
    Result<TokenRecord> token(std::string_view id) override;
    Result<std::vector<TokenRecord>> tokens(std::string_view kind, std::string_view subject) override;
    Result<std::vector<CodeRecord>> codes() override;
    Result<AgentRecord> agent(std::string_view id) override;
    Result<AgentRecord> agent_by_name(std::string_view agent_name) override;
    Result<std::vector<AgentRecord>> agents() override;
    Result<std::vector<AgentLogLine>> agent_log(std::string_view agent_name, std::uint64_t after, std::size_t limit) override;
    Result<std::vector<FiringRecord>> firings(std::string_view trigger, std::int64_t before, std::size_t limit) override;
    Result<JobRecord> job(std::string_view uid) override;
    Result<Page<JobRecord>> jobs(const JobQuery& query) override;
    Result<std::vector<WaitingCount>> waiting() override;
    Result<std::vector<TimelineRow>> timeline(std::string_view job) override;
    Result<Page<StoredEvent>> events(std::string_view job, protocol::EventKind kind, std::string_view cursor, std::size_t limit) override;
    Result<std::vector<StoredEvent>> stale_events(std::string_view job) override;
    Result<DeliveryRecord> delivery(std::string_view id) override;
    Result<Json> kept_answer(std::string_view job, std::string_view notifier) override;
    Result<Page<DeliveryRecord>> deliveries(const DeliveryQuery& query) override;
    Result<NotifierState> notifier_state(std::string_view notifier) override;
    Result<std::vector<NotifierState>> notifier_states() override;
    Result<std::vector<std::string>> person_jobs(std::string_view agent, std::string_view user, std::size_t limit) override;   ///< person.cpp
    Result<bool> is_person_job(std::string_view agent, std::string_view user, std::string_view job) override;
    Result<QuestionRecord> question(std::string_view id) override;
    Result<Page<QuestionRecord>> questions(const QuestionQuery& query) override;
    Result<std::vector<FeedRow>> feed(std::uint64_t after, std::size_t limit) override;
    Result<std::uint64_t> last_feed_sequence() override;
    Result<Page<AuditRow>> audit(const AuditQuery& query) override;
    Result<AuditVerdict> verify_audit(std::string_view head) override;
    Result<std::vector<JobMinute>> job_minutes(WallTime since, WallTime until, std::size_t most) override;   ///< metrics.cpp
    Result<std::vector<DeliveryMinute>> delivery_minutes(WallTime since, WallTime until, std::size_t most) override;
    Result<std::vector<PublishedSeries>> published(std::string_view metric) override;
    Result<std::vector<PublishedPoint>> points(std::int64_t series, WallTime since, WallTime until, std::size_t most) override;
    Result<StoreTotals> totals() override;
    Result<std::string> setting(std::string_view key) override;

    // For the writer, on the same connection.
    Result<Binding> binding(std::int64_t id);
    Result<std::int64_t> job_key(std::string_view uid);

private:
    JobRecord job_row(const Rows& rows);
    Result<std::string> moved_lines(std::string_view job, std::int64_t attempt, std::int64_t at, std::int64_t size) const;   ///< from the log's file

    std::unique_ptr<Database> own_;
    Database& db_;
    std::string folder_;
    std::map<std::int64_t, std::shared_ptr<const Binding>> bindings_;   // they never change
    std::shared_ptr<const Binding> known_binding(std::int64_t id);
};

inline constexpr std::string_view kAgentColumns =
    "id, uid, name, public_key, mode, environment, labels, facts, approved, frozen, paused, slots, counter, created, last_seen, goodbye, approved_in, user, sessions, machine";
AgentRecord agent_row(const Rows& rows);
inline constexpr std::string_view kDeliveryColumns =   // of deliveries d left join jobs j
    "d.id, d.uid, j.uid, d.notifier, d.event, d.state, d.request, d.created, d.next_try, d.finished, d.attempts, d.error, d.overtook, d.subject, d.claimed";
DeliveryRecord delivery_row(const Rows& rows);

/// One line of an `events` row and back.
std::string event_line(const protocol::Event& event);

/// Bits of `events.kinds`.
inline constexpr unsigned kStepBit = 1, kLogBit = 2, kRemovedBit = 4;   // the last: retention took the others

/// An Error for a query that found nothing: its own, or not_found with these words.
tl::unexpected<Error> none(const Rows& rows, std::string_view what, std::string_view name);
Result<std::int64_t> read_cursor(std::string_view cursor);   ///< empty: 0. Errors: invalid

}  // namespace mill::factory::sqlite
