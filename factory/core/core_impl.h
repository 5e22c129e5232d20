// factory/core/core_impl.h -- Core: everything but reading happens on the writer thread, in the files beside this one. factory/core/ only.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "factory/core.h"
#include "factory/core/memory.h"
#include "factory/core/queue.h"
#include "factory/core/state.h"

namespace mill::factory::core {

class CoreImpl final : public Core, private Committing, private Memory {
public:
    CoreImpl(CoreOptions options, Clock& clock, std::unique_ptr<Store> store);
    ~CoreImpl() override;
    Status start();

    ReaderLease reader() override;
    Wakeups& wakeups() override { return *wakeups_; }
    std::uint64_t epoch() const override { return epoch_; }
    const std::string& factory_id() const override { return factory_id_; }
    const CoreOptions& options() const override { return options_; }

    void note(std::string action, std::string kind, std::string subject, Json detail, Who who, Done<Nothing> done) override;
    void put_setting(std::string key, std::string value, Done<Nothing> done) override;
    void put_document(std::string kind, std::string name, Json spec, std::uint64_t expected_generation, Who who, Done<Document> done) override;
    void put_documents(std::vector<DocumentChange> changes, Who who, Done<Document> done) override;
    void delete_document(std::string kind, std::string name, std::uint64_t expected, Who who, Done<Nothing> done) override;
    void set_source(std::string kind, std::string name, std::string source, Who who, Done<Document> done) override;
    void put_package(std::string name, std::string version, std::string bytes, Json manifest, Json inputs, PackageState state, Who who, Done<PackageRecord> done) override;
    void set_package_state(std::string name, std::string version, PackageState state, std::string why, Who who, Done<PackageRecord> done) override;   ///< versions.cpp
    void move_deployment(VersionOrder order, Who who, Done<VersionMoved> done) override;
    void promote_deployment(std::string deployment, std::string why, Who who, Done<Nothing> done) override;   ///< trials.cpp
    void preflight(std::string deployment, std::size_t most, Done<Preflight> done) override;   ///< preflight.cpp
    void sign_package(std::string name, std::string version, std::vector<protocol::PackageSignature> signatures, Who who, Done<PackageRecord> done) override;   ///< signatures.cpp
    void put_package_inputs(std::string digest, Json inputs, Done<Nothing> done) override;
    std::string package_path(std::string_view digest) const override;
    void put_credential(std::string name, Json about, std::string sealed, Who who, Done<CredentialRecord> done) override;
    void delete_credential(std::string name, Who who, Done<Nothing> done) override;
    void put_token(TokenRecord token, Who who, Done<TokenRecord> done) override;
    void delete_token(std::string id, Who who, Done<Nothing> done) override;
    void touch_token(std::string id) override;
    void put_code(CodeRecord code, Who who, Done<CodeRecord> done) override;

    void enrol(EnrolRequest request, Done<AgentRecord> done) override;
    void admit(AdmitRequest request, Who who, Done<AgentRecord> done) override;
    void change_key(std::string agent, std::string old_key, std::string new_key, Who who, Done<AgentRecord> done) override;
    void join_session(SessionJoin request, Done<AgentRecord> done) override;                          ///< machine_sessions.cpp
    void set_agent(std::string name, AgentPatch patch, Who who, Done<AgentRecord> done) override;
    void delete_agent(std::string name, Who who, Done<Nothing> done) override;
    void step_counter(CounterStep step, Done<std::string> done) override;
    Result<std::vector<ReplacedKey>> replaced_keys(const std::string& agent) override;          ///< replaced_keys.cpp
    void replaced_key_used(ReplacedKeyUse use, Who who, Done<bool> done) override;
    void open_session(SessionReport report, Done<SessionAnswer> done) override;
    void agent_log(std::string agent, std::vector<AgentLogLine> lines, Done<std::uint64_t> done) override;
    void reported_again(std::string agent, Done<Nothing> done) override;
    void holds(Done<std::vector<Hold>> done) override;
    void release(std::string environment, Who who, Done<Nothing> done) override;
    void person(std::string agent, Done<std::uint64_t> done) override;   ///< person.cpp
    void offline_terms(std::string agent, std::vector<std::string> triggers, Done<OfflineTerms> done) override;
    void goodbye(std::string agent, std::string why, Done<Nothing> done) override;
    void ask_doctor(std::string name, Who who, Done<DoctorState> done) override;
    void doctor_state(std::string name, Done<DoctorState> done) override;
    void doctor_report(std::string agent, std::string id, Result<std::vector<Finding>> findings, Done<Nothing> done) override;
    void run_canary(std::string name, Milliseconds within, Who who, Done<Accepted> done) override;
    void package_sent(const AttemptAccess& access) override;
    Result<std::vector<AgentRecord>> agents() override;

    std::uint64_t park(Poll poll, Done<PollAnswer> done) override;
    void unpark(std::string agent, std::uint64_t ticket) override;
    void ingest(std::string agent, std::vector<EventBatch> batches, Done<std::vector<EventAnswer>> done) override;
    void renew(std::string agent, std::vector<protocol::AttemptId> held, Done<std::vector<HeldAnswer>> done) override;
    Result<AttemptAccess> attempt_access(std::string_view token_text) override;

    void file_source(std::string agent, AppearedFile file, Done<FileSource> done) override;          ///< files.cpp
    void say_files(std::string agent, std::vector<FileStanding> standing, Done<Nothing> done) override;
    void trigger_files(std::string trigger, Done<std::vector<FileStanding>> done) override;
    void accept_run(RunRequest request, Who who, Done<Accepted> done) override;
    void cancel(std::string job, std::string why, Who who, Done<JobRecord> done) override;
    void retry(std::string job, bool same_version, Who who, Done<Accepted> done) override;
    void when_final(std::string job, Milliseconds wait, Done<JobRecord> done) override;
    void why(std::string job, Done<Why> done) override;
    void why_trigger(std::string trigger, Done<Why> done) override;
    void why_environment(std::string environment, Done<Why> done) override;
    void locks(Done<std::vector<LockState>> done) override;                                           ///< locks.cpp

    void ask(std::string agent, AskRequest request, Done<QuestionRecord> done) override;              ///< questions.cpp
    void unask(std::string agent, protocol::AttemptId attempt, std::string question, std::string why, Done<Nothing> done) override;   ///< questions_asked.cpp
    void answer_question(QuestionAnswer answer, Who who, Done<Answered> done) override;
    void remind(std::string question, std::string text, std::string key, Done<Nothing> done) override;

    void claim_deliveries(std::size_t limit, Done<std::vector<DeliveryRecord>> done) override;
    void put_back_deliveries(std::vector<std::string> ids, Done<std::size_t> done) override;
    void delivery_rendered(std::string delivery, Result<Rendered> rendered, Done<DeliveryRecord> done) override;
    void delivery_done(DeliveryOutcome outcome, Done<DeliveryRecord> done) override;
    void resend(std::string delivery, Who who, Done<DeliveryRecord> done) override;
    void resend_all(DeliveryQuery query, bool only_look, Who who, Done<Resent> done) override;
    void resume_notifier(std::string notifier, Who who, Done<NotifierState> done) override;
    void add_test_delivery(std::string notifier, Json request, Who who, Done<DeliveryRecord> done) override;

    void publish(std::vector<MetricPoint> points, Done<Nothing> done) override;   ///< metrics.cpp
    void retention(Done<RetentionState> done) override;   ///< retention.cpp

    void run_timers() override;
    void flush() override;

private:
    // start.cpp
    void committed() override;
    void lost(const Error& error) override;
    Status load();
    void fill(Agent& agent);                       ///< record.online, …

    // Rows that many operations write.
    Status audit(const Who& who, std::string_view action, std::string_view kind, std::string_view subject, Json detail = {});
    Status feed(const NewFeed& row);
    Status job_line(JobKey job, std::string_view what, WallTime time, std::uint32_t attempt = 0, std::string_view agent = {},
                    std::string_view reason = {}, Json detail = {});

    // bindings.cpp
    Result<BindingRef> binding_of_trigger(const std::string& trigger, BindingWish wish = {});   ///< as the documents stand now
    Binding binding_by(const Json& trigger, const Document& deployment, const PackageRecord& package);   ///< without id, key (but for what is added to it) and trigger
    Result<BindingRef> known_binding(std::int64_t id);
    void documents_changed();
    Status pause_when_failing(const Binding& binding);

    static Json both_locks(const Json& trigger, const Json& deployment);   ///< names, sorted; empty: none
    dispatch::Turn turn_of(int priority, WallTime arrived) const { return dispatch::turn_of(priority, arrived, options_.ageing); }
    Status count_turns();                          ///< of what waits, when `ageing` is another than before
    std::vector<WhyReason> why_locks(const KnownBinding& binding) const;
    std::optional<WhyReason> why_aged(int priority, WallTime arrived) const;
    // versions.cpp
    Result<Document> write_document(const std::optional<Document>& known, const std::string& kind, const std::string& name, const Json& spec, const Who& who,
                                    const std::string& action, VersionMove move);
    Status rebind_waiting(const std::string& deployment, const std::string& version, const Who& who, VersionMoved& out);
    std::optional<WhyReason> why_stopped(const Binding& binding);   ///< nothing: its jobs may start

    // trials.cpp: a new version that a group of agents tries
    Status load_trials();
    Status begin_trial(const std::optional<Document>& before, const Document& now, const Who& who);   ///< or ends the one that the change makes void
    Status end_trial(const std::string& deployment);
    Result<BindingRef> binding_for_job(const std::string& trigger, bool traced = false, const std::string& agent = {});               ///< which version a new one gets
    void tried_by(const Binding& binding, JobKey job);
    Status trial_ended(JobKey job, const std::string& uid, const Binding& binding, protocol::JobState state, protocol::Reason reason, const Json& error);
    Status promote(KnownTrial& known, const Who& who, const std::string& why);
    Status revert(KnownTrial& known, const std::string& why);
    std::optional<WhyReason> trial_words(const std::string& deployment) const;

    // signatures.cpp
    Result<std::vector<protocol::PackageSignature>> signatures_of(const std::string& digest);
    const std::vector<Document>& publishers();
    Json revoked_keys();                           ///< [KEY…] of all publishers
    Result<std::string> unsigned_words(const Document& deployment, const PackageRecord& package);
    std::string refusal_by(const Agent& agent, const std::string& name, const std::string& version, const std::string& digest);

    // resources.cpp
    Result<Document> put_one(const DocumentChange& change, const Who& who);

    // agents.cpp
    Result<Agent*> agent_by_id(std::string_view id);
    Result<Agent*> agent_by_name(std::string_view name);
    Status keep(Agent& agent);                     ///< writes the row and puts it on the board
    Result<AgentRecord> join(AgentRecord record, bool take_over, const Who& who, std::string_view action, Json detail);   ///< agent_keys.cpp
    Status give_key(Agent& agent, const std::string& public_key, bool anew);   ///< agent_keys.cpp
    Status remember_key(const Agent& agent);       ///< its key is about to be replaced; replaced_keys.cpp
    Status key_in_use(const Agent& agent);         ///< a session was opened with it
    Status forget_keys(const Agent& agent);
    Status freeze(Agent& agent, const Who& who, Json detail);   ///< copied_key: the row, the audit, the feed
    static Json approvals(const std::string& environment, const Json& more);
    Status come_online(Agent& agent);
    Status go_offline(Agent& agent, std::string_view why);

    // poll.cpp
    Status answer_offer(Agent& agent, const OfferAnswer& answer);
    Status dispatch();                             ///< assigns all that fits now
    Status assign(const dispatch::Match& match);
    void mint(Active& active);                     ///< a token more for the attempt
    void restore_tokens(const Active& active);
    Status fresh_token(Active& active);            ///< the same, stored
    Result<protocol::Offer> offer_of(Active& active);
    bool offer_due(const Active& active) const;
    bool unsent(const Active& active) const;
    void answer_poll(Agent& agent, bool even_if_empty);
    void end_poll(Agent& agent, Error error);
    void free_now(Agent& agent);                   ///< tells the board what the agent wants

    void load_file_triggers();                     // files.cpp: files on agents' machines that start jobs
    bool watches(const Agent& agent, const FileTriggers::One& trigger) const;
    Json files_due(Agent& agent);                  ///< that a poll's answer has to carry now; null: nothing

    // doctor.cpp
    std::string doctor_due(Agent& agent);          ///< the ask that a poll's answer has to carry now, or nothing
    DoctorState doctor_of(const Agent& agent) const;

    // person.cpp: whose agent it is, and what that person starts
    void news_for(Agent& agent);                   ///< what its user may see has changed
    void news_for_people(const std::string& user = {});   ///< of this one, or of all
    std::uint64_t news_due(Agent& agent);          ///< the version that a poll's answer has to carry now, or 0
    Result<Accepted> launch(const RunRequest& run, const Who& who, NewJob job);
    Result<BindingRef> binding_for_launch(const std::string& trigger, const Agent& agent);
    Result<BindingRef> binding_for_retry(const BindingRef& old, const std::string& trigger, bool same_version);
    Status desktop_changed(Agent& agent, const Json& session);

    // offline.cpp: what that person starts while this factory is away
    std::string why_not_begun(const std::string& trigger, const Agent& agent, const Binding& begun, const dispatch::Needs& needs);
    bool may_begin_away(const Binding& binding);
    Result<Json> terms_for(const std::string& trigger, const Agent& agent);
    Result<Accepted> begun(const RunRequest& run, const Who& who, Agent& agent, NewJob job);

    // consent.cpp: what its user says to jobs of others
    bool asks_first(const Agent& agent, const KnownBinding& known) const;
    Result<Json> consent_of(const Active& active);   ///< what the person is shown
    Status hear_consent(Agent& agent, Active& active, const OfferAnswer& said);
    Status load_refusals();
    Status tick_refusals(Agent& agent, WallTime now);
    Status user_changed(Agent& agent);
    void show_refusals(Agent& agent);
    static std::string_view consent_code(const std::string& choice);   ///< of a line of the timeline and a reason
    std::string refusal_words(const Agent& agent, const Writer::KeptRefusal& refusal) const;
    const Writer::KeptRefusal* refusal_of(const KnownBinding& known, const Agent& agent) const;

    // events.cpp
    Result<EventAnswer> ingest_one(Agent& agent, EventBatch& batch);
    Result<EventAnswer> keep_stale(Agent& agent, EventBatch& batch, bool again = false);
    Status take_metric(const Active& active, const protocol::Event& event, std::string& refused);
    Status take_state(Active& active, const protocol::Event& event, std::optional<Ending>& ending, std::string& refused);
    Result<HeldAnswer> standing_of(Agent& agent, const protocol::AttemptId& id, bool names_it);
    Active* active_of(std::string_view uid);

    // hold.cpp: the store is an older one, and agents say again what they did
    Status load_hold();
    void show_hold();                              ///< to the board and those who wait
    bool is_known_for(const Agent& agent, const std::string& environment) const;
    bool on_hold(const std::string& environment) const;
    bool waits_for(const Agent& agent) const;      ///< it will say again what this store does not know
    Status end_unknown(Active& active, const std::string& why);
    Hold hold_of(const std::string& environment) const;
    Status compare(Agent& agent, const std::vector<SessionReport::Seen>& seen);
    Status went_back(const Agent& agent, const protocol::AttemptId& id, std::uint64_t theirs, std::uint64_t ours);
    Status await_no_more(AgentKey agent, std::string_view why);
    std::string untrue(const Agent& agent, const protocol::Offer& offer);
    /// An agent has this attempt, which nobody here offered: its job is no ready one, and its events are taken from now on.
    Result<Active*> holds_already(Agent& agent, const WaitingJob& row, const BindingRef& binding, HeldAlready held, Json detail);
    Result<Active*> adopt(Agent& agent, const EventBatch& batch);   ///< null: the job ended, or a later attempt has its place
    Result<JobKey> job_again(Agent& agent, const protocol::Offer& offer, const Json& text, WallTime created);
    std::optional<WhyReason> why_hold(const std::string& environment) const;
    Status put_off(std::vector<DeliveryRecord>& deliveries);

    // jobs.cpp
    Status still_allowed(const Binding& binding);
    Status cancel_one(const std::string& uid, const std::string& why, const Who& who);   ///< of one that has not ended
    Result<Json> asked_before(JobKey key, const JobRecord& job);
    Result<Accepted> make_job(const BindingRef& binding, NewJob job, Json input);
    Status end_active(Active& active, Ending ending);    ///< `active` is gone afterwards
    Status end_ready(JobKey job, Ending ending);
    Status back_to_ready(Active& active, std::string_view what, std::string_view why, Json detail = {});
    void forget_active(Active& active);
    JobRecord record_of(const Active& active) const;

    // questions.cpp: what people are asked. questions_approval.cpp: before a job starts
    Status load_questions();
    void news_for_asked(const Json& by);
    Status open_question(JobKey job, const Binding& binding, QuestionRecord question);
    Status close_question(JobKey job, QuestionRecord question);   ///< with state, by whom, when, …
    Status withdraw_questions(JobKey job, const std::string& why);
    Status tick_questions(WallTime now);
    // questions_asked.cpp: between a question of a running attempt and its agent
    Status load_answered();
    void owe_answer(JobKey job, const QuestionRecord& question);
    void heard(Agent& agent, const std::vector<std::string>& questions);
    bool answers_due(const Active& active) const;
    bool waits_for_people(const Active& active) const { return active.state == protocol::JobState::waiting && asking_.contains(active.job); }
    void add_answers(Active& active, PollAnswer& answer);
    Status take_told(Active& active, const protocol::Event& event);
    void why_asking(const Active& active, std::vector<WhyReason>& out);
    static Json usual_answerers(const JobRecord& job, QuestionKind kind);
    Status tell_question(JobKey job, const Binding& binding, const QuestionRecord& question, const std::string& again = {});
    Result<std::string> ask_approval(JobKey key, const BindingRef& binding, NewJob& job);   ///< the sentence that says what it waits for
    Status approve(JobKey job, const QuestionRecord& question, const Who& who);
    bool awaits_approval(JobKey job) const;
    std::string approval_of(JobKey job) const;     ///< id of its open question
    Result<std::optional<WhyReason>> why_approval(JobKey job);
    Result<Json> expire_approval(JobKey job, WallTime now);   ///< evidence; null: it was not that
    Result<Why> why_waiting(const JobRecord& job, JobKey key, const BindingRef& binding);   ///< of one that is ready; why.cpp

    // followers.cpp: jobs that other jobs' ends start
    void load_followers();
    Status start_followers(JobKey job, const std::string& uid, const Binding& binding, std::string_view event);
    Status start_follower(const Document& trigger, JobKey job, const JobRecord& record, std::string_view event, const Cause& before);

    // notify.cpp
    Status notify(JobKey job, const std::string& uid, const Binding& binding, std::string_view event, bool final);
    bool has_notifiers(const Binding& binding, std::string_view event) const;
    void load_notifiers();
    Json document_to_tell(const JobRecord& job, std::string_view event, WallTime now);
    Status tell(const Json& notifier, const Tale& tale, const Json& document);   ///< `document`: of a job, as document_to_tell makes it
    Status call_back(JobKey job, const std::string& uid, std::string_view event);   ///< whom its caller named
    Status tell_dead(const DeliveryRecord& delivery);
    Status tell_held(const NotifierState& state);
    Status tell_agent(const Agent& agent, std::string_view event);

    // watches.cpp: what lasts too long, and what comes to its end
    Status load_watches();
    Status tick_watches(WallTime now);
    void watch_job(JobKey job, const Binding& binding, std::uint32_t attempt, WallTime since);
    void watch_agent(const Agent& agent);
    Status fire(const Watch& watch, const Json& notifier, WallTime now);

    // deliveries.cpp
    Status judge(const DeliveryRecord& delivery, const DeliveryOutcome& outcome, WallTime now);   ///< how it goes with its notifier
    Status release_notifier(NotifierState& state, std::string_view by);
    Status send_again(DeliveryRecord& delivery, const Who& who);
    Status end_unrendered(DeliveryRecord& delivery, const Error& why, WallTime now);   ///< rendered.cpp
    void forget_probe(const DeliveryRecord& delivery);
    Status with_present_notifier(DeliveryRecord& delivery);   ///< what could not be rendered is rendered with the notifier as it is now
    Status probe_now(std::string_view kind, const std::string& name);   ///< the notifier, or what it uses, was changed
    bool is_held(const std::string& notifier) const;
    bool probe_due(WallTime now) const;

    // timers.cpp
    void timer_loop(std::stop_token stop);
    Status tick();
    void submit_tick(Done<Nothing> done);          ///< and a step of retention behind it
    Status tick_active(SteadyTime now);
    Status tick_agents(SteadyTime now);
    Status tick_ready(WallTime now);
    void tick_waiters(SteadyTime now);

    // retention.cpp: what is old goes, a little at a time
    Status tick_retention(SteadyTime asked, WallTime now);   ///< asked: when its turn was asked for
    Status begin_retention(WallTime now);
    Status retention_step(WallTime now);
    Result<bool> retain_jobs(WallTime before, bool by_count, SteadyTime until);   ///< these answer: is there more of this phase
    Result<bool> retain_records(WallTime before, WallTime now, SteadyTime until);
    Result<bool> retain_files(SteadyTime until);
    Result<bool> retain_space();
    Status end_retention(WallTime now);
    void retention_committed(SteadyTime now);
    void remove_doomed();                          ///< after the commit

    // schedules.cpp
    Status load_schedules();                       ///< after a change of documents: what stayed the same goes on where it was
    Status tick_schedules(WallTime now);
    Status decide(KnownSchedule& schedule, const Firing& firing, WallTime now);
    Status fire(KnownSchedule& schedule, FiringRecord record, const Json& spec, WallTime now);
    Status fire_waiting(KnownSchedule& schedule, WallTime now);
    Status miss(KnownSchedule& schedule, WallTime now);
    Status record_firing(const KnownSchedule& schedule, const FiringRecord& record);
    Result<std::vector<std::string>> open_jobs(KnownSchedule& schedule);
    std::string schedule_words(const std::string& trigger) const;   ///< when it fires next; empty: it is no schedule

    // why.cpp
    Result<Why> why_ready(const std::string& uid, JobKey job, const BindingRef& binding, const std::optional<JobRecord>& record = {});
    std::string bound_words(const dispatch::Needs::Bound& bound) const;
    void why_agents(const KnownBinding& binding, Why& out, bool& free, std::optional<WallTime>& next);
    AgentView view_of(const KnownBinding& binding, const dispatch::Environment& environment, const Agent& agent);
    void why_nobody(const KnownBinding& binding, const dispatch::Environment& environment, std::vector<WhyReason> strangers, std::vector<WhyReason>& out) const;
    void why_doctor(const Agent& agent, std::vector<WhyReason>& out) const;
    Why why_active(const Active& active);
    Result<Why> why_ended(const JobRecord& job);
    std::string waiting_for(const BindingRef& binding);
    Status note_waits(SteadyTime now);             ///< what jobs wait for at this time, for when they do not any more
    Json wait_over(const BindingRef& binding, WallTime since, WallTime now) const;
    Status add_past_waits(Why& out, bool consents_alone = false);
    std::string clock_text(WallTime time) const;

    CoreOptions options_;
    Clock& clock_;
    std::unique_ptr<Store> store_;
    Writer& writer_;
    std::unique_ptr<Wakeups> wakeups_;
    std::atomic<std::uint64_t> epoch_ = 1;
    std::string factory_id_;

    // Any thread.
    std::mutex readers_mutex_;
    static constexpr std::size_t kReadersKept = 4;
    std::vector<std::unique_ptr<Reader>> readers_;
    std::size_t readers_lent_ = 0;
    std::condition_variable reader_back_;
    std::mutex tokens_mutex_;
    std::unordered_map<std::string, LiveToken> tokens_;   // by token id
    std::mutex touch_mutex_;
    std::map<std::string, WallTime> touched_;             // tokens: last written
    std::atomic<std::uint64_t> next_ticket_{1};

    WriteQueue queue_;
    std::jthread timer_;                                  // last: ended first
};

}  // namespace mill::factory::core
