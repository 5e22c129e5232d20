// factory/store/sqlite_writer.h -- Writer on one SQLite connection. factory/store/ only.
#pragma once

#include <array>

#include "factory/store/audit.h"
#include "factory/store/sqlite_reader.h"
#include "factory/store/sqlite_sweeper.h"
#include "factory/store/value_files.h"

namespace mill::factory::sqlite {

class SqliteWriter final : public Writer {
public:
    SqliteWriter(std::unique_ptr<Database> db, std::string folder);

    /// Reads counters; before the first begin().
    Status start();

    Sweeper& sweeper() override { return sweeper_; }
    Reader& read() override { return reader_; }
    Status begin() override;
    Status commit() override;
    void rollback() override;
    Status savepoint() override;
    Status release() override;
    void rollback_to_savepoint() override;

    Status put_setting(std::string_view key, std::string_view value) override;
    Status put_document(const Document& document) override;
    Status delete_document(std::string_view kind, std::string_view name) override;
    Status put_package(const PackageRecord& package, std::string_view bytes) override;
    Status package_state(const PackageRecord& package) override;
    Status put_signature(const SignatureRecord& signature) override;
    Status put_version_move(std::string_view deployment, const VersionMove& move) override;
    Status delete_version_moves(std::string_view deployment) override;
    Status put_trial(const Trial& trial) override;
    Status delete_trial(std::string_view deployment) override;
    Status put_package_inputs(std::string_view digest, const Json& inputs) override;
    Status put_credential(const CredentialRecord& credential) override;
    Status delete_credential(std::string_view name) override;
    Status put_token(const TokenRecord& token) override;
    Status delete_token(std::string_view id) override;
    Status touch_token(std::string_view id, WallTime when) override;
    Status put_code(const CodeRecord& code) override;
    Result<CodeRecord> code(std::string_view id) override;
    Result<std::string> code_used_by(std::string_view id, std::string_view public_key) override;
    Status use_code(std::string_view id, std::string_view public_key, std::string_view agent) override;
    Status audit(const AuditRow& row) override;

    Result<std::optional<KeptSchedule>> schedule(std::string_view trigger) override;
    Status put_schedule(std::string_view trigger, const KeptSchedule& schedule) override;
    Status delete_schedule(std::string_view trigger) override;
    Status put_firing(std::string_view trigger, const FiringRecord& firing) override;
    Result<std::vector<FiringRecord>> waiting_firings(std::string_view trigger) override;
    Result<std::vector<std::string>> open_firings(std::string_view trigger) override;
    Result<std::uint64_t> add_agent_log(AgentKey key, const std::vector<AgentLogLine>& lines) override;
    Result<AgentKey> insert_agent(const AgentRecord& agent) override;
    Status update_agent(AgentKey key, const AgentRecord& agent, bool mode_set) override;
    Status agent_key(AgentKey key, std::string_view public_key, bool anew) override;
    Status delete_agent(AgentKey key) override;
    Status seen_agent(AgentKey key, WallTime when, std::string_view goodbye) override;
    Status step_counter(AgentKey key, std::uint64_t counter, std::string_view jti, std::string_view answer) override;
    Result<Counter> counter(AgentKey key) override;
    Result<std::vector<KeptAgent>> load_agents() override;
    Status reported_agent(AgentKey key, std::uint64_t epoch) override;

    Result<std::int64_t> put_binding(const Binding& binding) override;
    Result<Binding> binding(std::int64_t id) override { return reader_.binding(id); }
    Result<std::vector<std::pair<std::int64_t, std::size_t>>> ready_counts() override;
    Result<std::vector<std::pair<JobKey, std::int64_t>>> first_ready(std::int64_t binding, std::size_t limit) override;
    Result<std::size_t> ready_before(JobKey job, std::int64_t binding, std::int64_t turn, std::size_t most) override;
    Status count_turns(const std::function<std::int64_t(int, WallTime)>& turn) override;
    Result<std::vector<ActiveAttempt>> load_active() override;

    Result<JobKey> insert_job(const NewJob& job) override;
    Result<JobKey> job_key(std::string_view uid) override { return reader_.job_key(uid); }
    Result<WaitingJob> waiting_job(JobKey job) override;
    Result<std::int64_t> binding_id(std::string_view key) override;
    Result<std::int64_t> job_binding(JobKey job) override;
    Status change_job(const JobChange& change) override;
    Result<std::uint64_t> rebind_ready(std::int64_t from, std::int64_t to) override;
    Status cancel_job(JobKey job, const CancelRequest& request) override;
    Status retried_job(JobKey job, std::string_view by) override;
    Status insert_outcome(JobKey job, const Json& output, const Json& error, const Json& evidence) override;
    Result<std::pair<std::string, std::string>> job_input(JobKey job) override;
    Status assign(const NewAttempt& attempt) override;
    Status adopt(const NewAttempt& attempt) override;
    Status attempt_token(JobKey job, std::uint32_t attempt, std::string_view token) override;
    Result<AttemptRow> attempt(std::string_view job, std::uint32_t attempt) override;
    Status long_log(JobKey job, std::uint32_t attempt) override;
    Status progress(JobKey job, std::uint32_t attempt, const Progress& progress) override;
    Result<std::uint64_t> append_events(JobKey job, std::uint32_t attempt, const std::vector<protocol::Event>& events, bool stale) override;
    Result<std::uint64_t> append_feed(const NewFeed& row) override;
    void skip_feed() override;

    Result<IdempotencyRow> idempotency(std::string_view scope, std::string_view key, WallTime since) override;
    Status put_idempotency(std::string_view scope, std::string_view key, std::string_view sha, JobKey job, WallTime now) override;
    Result<std::vector<JobKey>> due_to_expire(WallTime now, std::size_t limit) override;
    Result<std::optional<WallTime>> next_expiry() override;

    Status count_job(const EndedJob& job) override;   ///< metrics.cpp
    Status count_delivery(WallTime time, std::string_view notifier, std::string_view outcome) override;
    Status publish(const MetricPoint& point, WallTime now) override;
    Status insert_question(JobKey job, const QuestionRecord& question) override;
    Status close_question(const QuestionRecord& question) override;
    Result<std::vector<OpenQuestion>> open_questions() override;
    Result<std::vector<OpenQuestion>> answered_questions() override;
    Result<std::vector<std::string>> due_questions(WallTime now, std::size_t limit) override;
    Status job_expires(JobKey job, std::optional<WallTime> when) override;
    Status put_person_job(AgentKey agent, JobKey job, std::string_view user, std::string_view launch) override;   ///< person.cpp
    Result<std::string> launched(AgentKey agent, std::string_view user, std::string_view launch) override;
    Result<std::string> launch_of(JobKey job) override;
    Status put_refusal(const KeptRefusal& refusal) override;
    Status forget_refusals(AgentKey agent, WallTime until) override;
    Result<std::vector<KeptRefusal>> refusals() override;
    Status put_cause(JobKey job, std::string_view trigger, const Cause& cause) override;
    Result<Cause> cause(JobKey job) override;
    Result<bool> has_caused(JobKey cause, std::string_view trigger) override;

    Status insert_delivery(const NewDelivery& delivery) override;
    Result<std::vector<DeliveryRecord>> due_deliveries(WallTime now, WallTime overtake_before, std::size_t limit) override;
    Result<std::optional<WallTime>> next_delivery() override;
    Status change_delivery(const DeliveryRecord& delivery) override;
    Status insert_delivery_attempt(std::string_view delivery, const DeliveryAttempt& attempt) override;
    Result<JobKey> delivery_job(std::string_view delivery) override;
    Status put_notifier_state(const NotifierState& state) override;
    Status set_delivery_request(std::string_view delivery, const Json& request) override;
    Status set_delivery_kept(std::string_view delivery, const Json& kept) override;
    Status remove_delivery(std::string_view delivery) override;
    Status put_callback(JobKey job, const Json& spec) override;
    Result<Json> callback(JobKey job) override;
    Status hold_deliveries(std::string_view notifier) override;
    Status release_deliveries(std::string_view notifier, WallTime now) override;
    Result<std::optional<DeliveryRecord>> probe_delivery(std::string_view notifier) override;
    Result<std::vector<WaitingSince>> waiting_since() override;

    void tidy() override;

private:
    Result<std::int64_t> name_id(std::string_view name);
    Status write_totals();

    std::unique_ptr<Database> db_;
    SqliteReader reader_;
    std::string folder_;
    ValueFiles values_;
    SqliteSweeper sweeper_;
    std::uint64_t sequence_ = 0, sequence_kept_ = 0, sequence_saved_ = 0;   // of the feed: now, at begin, at the savepoint
    AuditHead audit_head_, audit_kept_, audit_saved_;                     // likewise, of the audit log
    std::map<std::int64_t, std::int64_t> trigger_of_;                     // binding → name id
    using Ended = std::array<std::int64_t, 4>;                            // jobs that ended since begin, by state
    Ended ended_{}, ended_saved_{};
};

}  // namespace mill::factory::sqlite
