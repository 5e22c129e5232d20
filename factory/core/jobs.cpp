#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/ids.h"

namespace mill::factory::core {

using protocol::JobState;
using protocol::Reason;

namespace {

constexpr std::uint64_t kLongLog = 1024 * 1024;   // steps and log of an attempt: more does not stay in the database
constexpr int kMostRetries = 50;   // looked back

std::string text_of(const Json& value) { return value.is_null() ? std::string() : dump_json(value); }

}  // namespace

JobRecord CoreImpl::record_of(const Active& active) const
{
    const Binding& b = active.binding->binding;
    JobRecord job;
    job.uid = active.uid;
    job.state = active.state;
    job.trigger = b.trigger;
    job.deployment = b.deployment;
    job.environment = b.environment;
    job.workflow = b.workflow;
    job.package_name = b.package_name;
    job.package_version = b.package_version;
    job.package_digest = b.package_digest;
    job.repeatable = b.repeatable;
    job.priority = active.priority;
    job.attempt = active.attempt;
    job.agent_id = agents_.at(active.agent).record.id;
    job.agent = agents_.at(active.agent).record.name;
    job.created = active.created;
    job.assigned = active.assigned;
    job.started = active.started;
    job.cancel = active.cancel;
    return job;
}

Result<Accepted> CoreImpl::make_job(const BindingRef& binding, NewJob job, Json input)
{
    if (job.uid.empty()) job.uid = new_uid();
    job.binding = binding->binding.id;
    job.created = clock_.now();
    job.turn = turn_of(job.priority, job.created);
    const auto key = writer_.insert_job(job);
    if (!key) return fail(key.error());
    if (auto ok = job_line(*key, "ready", job.created, 0, {}, {}, Json::object({{"by", job.requested_by}})); !ok) return fail(ok.error());
    std::string approval;
    if (binding->binding.rules.contains("approval")) {
        auto asked = ask_approval(*key, binding, job);
        if (!asked) return fail(asked.error());
        approval = std::move(*asked);
    }
    if (approval.empty()) board_.add_ready(*key, job.binding, job.turn);
    tried_by(binding->binding, *key);
    fresh_ = FreshJob{*key, {job.uid, job.binding, job.priority, 0, job.created, {}}, std::move(input)};
    auto ok = dispatch();
    fresh_.reset();
    if (!ok) return fail(ok.error());
    Accepted out;
    if (const Active* active = active_of(job.uid)) {
        out.job = record_of(*active);
    } else {
        const Binding& b = binding->binding;
        out.job.uid = job.uid;
        out.job.trigger = b.trigger;
        out.job.deployment = b.deployment;
        out.job.environment = b.environment;
        out.job.workflow = b.workflow;
        out.job.package_name = b.package_name;
        out.job.package_version = b.package_version;
        out.job.package_digest = b.package_digest;
        out.job.repeatable = b.repeatable;
        out.job.priority = job.priority;
        out.job.created = job.created;
        out.waiting_for = approval.empty() ? waiting_for(binding) : approval;
        watch_job(*key, b, 0, job.created);
    }
    out.job.requested_by = job.requested_by;
    out.job.retry_of = job.retry_of;
    out.job.expires = job.expires;
    return out;
}

void CoreImpl::accept_run(RunRequest request, Who who, Done<Accepted> done)
{
    auto kept = std::make_shared<RunRequest>(std::move(request));
    // Written as text on the caller's thread: the writer has enough to do.
    NewJob job{.uid = {}, .binding = 0, .priority = 50, .requested_by = who.name, .retry_of = {}, .created = {}, .expires = {},
               .input = text_of(kept->input), .context = text_of(kept->context)};
    queue_.submit<Accepted>(std::move(done), [this, kept, who = std::move(who), job = std::move(job)]() mutable -> Result<Accepted> {
        const RunRequest& run = *kept;
        if (!run.launch_agent.empty()) return launch(run, who, std::move(job));
        const std::string scope = run.trigger + "\n" + who.name;
        if (!run.idempotency_key.empty()) {
            const auto known = writer_.idempotency(scope, run.idempotency_key, clock_.now() - kKeysKept);
            if (known && known->body_sha256 != run.body_sha256)
                return fail(Errc::conflict, fmt::format("Idempotency-Key '{}' was used with another body, for job {}", run.idempotency_key, known->job));
            if (known) {
                auto record = writer_.read().job(known->job);
                if (!record) return fail(record.error());
                const auto key = writer_.job_key(known->job);
                if (!key) return fail(key.error());
                const auto approval = why_approval(*key);
                if (!approval) return fail(approval.error());
                return Accepted{.job = std::move(*record), .repeated = true, .waiting_for = *approval ? (*approval)->text : std::string()};
            }
            if (known.error().code != Errc::not_found) return fail(known.error());
        }
        if (!run.uid.empty() && writer_.job_key(run.uid)) {
            auto record = writer_.read().job(run.uid);
            if (!record) return fail(record.error());
            return Accepted{.job = std::move(*record), .repeated = true, .waiting_for = {}};
        }
        job.uid = run.uid;
        const auto binding = binding_for_job(run.trigger, run.trace, run.agent);
        if (!binding) return fail(binding.error());
        const Json& rules = (*binding)->binding.rules;
        job.priority = run.priority.value_or(rules["priority"].is_integer() ? static_cast<int>(rules["priority"].as_integer()) : 50);
        std::optional<Milliseconds> expiration = run.expiration;
        if (!expiration)
            if (const auto usual = parse_duration(rules["expiration"].as_string()); usual) expiration = *usual;
        if (expiration) job.expires = clock_.now() + *expiration;
        auto accepted = make_job(*binding, std::move(job), run.input);
        if (!accepted) return fail(accepted.error());
        if (run.idempotency_key.empty() && run.callback.is_null()) return accepted;
        const auto key = writer_.job_key(accepted->job.uid);
        if (!key) return fail(key.error());
        if (!run.callback.is_null())
            if (auto ok = writer_.put_callback(*key, run.callback); !ok) return fail(Errc::internal, ok.error().what);
        if (!run.idempotency_key.empty()) {
            if (auto ok = writer_.put_idempotency(scope, run.idempotency_key, run.body_sha256, *key, clock_.now()); !ok)
                return fail(Errc::internal, ok.error().what);
        }
        return accepted;
    });
}

/// Who asked for it, and for those that it is a retry of.
Result<Json> CoreImpl::asked_before(JobKey key, const JobRecord& job)
{
    const auto cause = writer_.cause(key);
    if (!cause) return fail(cause.error());
    Json out = cause->asked_by.is_array() ? cause->asked_by : Json::array();
    out.push(job.requested_by);
    std::string before = job.retry_of;
    for (int i = 0; i < kMostRetries && !before.empty(); ++i) {
        const auto older = writer_.read().job(before);
        if (!older) break;   // no longer kept
        out.push(older->requested_by);
        const auto older_key = writer_.job_key(before);
        if (!older_key) return fail(older_key.error());
        const auto older_cause = writer_.cause(*older_key);
        if (!older_cause) return fail(older_cause.error());
        for (const Json& name : older_cause->asked_by.as_array()) out.push(name);
        before = older->retry_of;
    }
    return out;
}

/// An old binding has the rules of its time; what was demanded since then counts all the same.
Status CoreImpl::still_allowed(const Binding& binding)
{
    Reader& read = writer_.read();
    const auto trigger = read.document("Trigger", binding.trigger);
    if (trigger && (trigger->spec["paused"].as_bool() || !(trigger->spec["approval"] == binding.rules["approval"])))
        return fail(Errc::conflict, fmt::format("trigger '{}' is paused, or asks for another approval than when the job was made: retry it without sameVersion", binding.trigger));
    const auto deployment = read.document("Deployment", binding.deployment);
    const auto package = read.package(binding.package_name, binding.package_version);
    if (!deployment || !package) return {};
    const auto why_not = unsigned_words(*deployment, *package);
    if (!why_not) return fail(why_not.error());
    return why_not->empty() ? Status() : fail(Errc::conflict, *why_not);
}

void CoreImpl::retry(std::string uid, bool same_version, Who who, Done<Accepted> done)
{
    queue_.submit<Accepted>(std::move(done), [this, uid = std::move(uid), same_version, who = std::move(who)]() -> Result<Accepted> {
        const auto old = writer_.read().job(uid);
        if (!old) return fail(old.error());
        if (!protocol::is_final(old->state))
            return fail(Errc::conflict, fmt::format("job {} has not ended: it is {}", uid, protocol::name(old->state)));
        const auto key = writer_.job_key(uid);
        if (!key) return fail(key.error());
        const auto id = writer_.job_binding(*key);
        if (!id) return fail(id.error());
        const auto known = known_binding(*id);
        if (!known) return fail(known.error());
        const auto binding = binding_for_retry(*known, old->trigger, same_version);
        if (!binding) return fail(binding.error());
        const Binding& next = (*binding)->binding;
        if (const auto stopped = why_stopped(next)) return fail(Errc::conflict, stopped->text);
        if (next.environment != old->environment)   // who may do this there is another question
            return fail(Errc::conflict, fmt::format("trigger '{}' runs in environment '{}' now, the job ran in '{}': start it there", old->trigger, next.environment, old->environment));
        if (same_version)
            if (auto ok = still_allowed(next); !ok) return fail(ok.error());
        auto texts = writer_.job_input(*key);
        if (!texts) return fail(texts.error());
        auto asked_by = asked_before(*key, *old);
        if (!asked_by) return fail(asked_by.error());
        auto accepted = make_job(*binding, {.uid = {}, .binding = 0, .priority = old->priority, .requested_by = who.name, .retry_of = uid, .created = {},
                                            .expires = {}, .input = std::move(texts->first), .context = std::move(texts->second), .asked_by = std::move(*asked_by)}, old->input);
        if (!accepted) return fail(accepted.error());
        if (auto ok = writer_.retried_job(*key, accepted->job.uid); !ok) return fail(ok.error());
        if (auto ok = job_line(*key, "retried", clock_.now(), 0, {}, {}, Json::object({{"by", who.name}, {"job", accepted->job.uid}})); !ok) return fail(ok.error());
        if (auto ok = audit(who, "retry", "Job", uid, Json::object({{"job", accepted->job.uid}})); !ok) return fail(ok.error());
        return accepted;
    });
}

Status CoreImpl::cancel_one(const std::string& uid, const std::string& why, const Who& who)
{
    const CancelRequest request{who.name, why, clock_.now()};
    const Ending ending{.state = JobState::cancelled, .reason = Reason::cancelled_by, .output = {}, .error = {},
                        .evidence = Json::object({{"by", who.name}, {"why", why}}), .time = request.time};
    if (Active* active = active_of(uid)) {
        if (!active->cancel) {
            active->cancel = request;
            if (auto ok = writer_.cancel_job(active->job, request); !ok) return ok;
            if (auto ok = job_line(active->job, "cancel_requested", request.time, active->attempt, {}, {}, ending.evidence); !ok) return ok;
            if (auto ok = audit(who, "cancel", "Job", uid, ending.evidence); !ok) return ok;
            if (unsent(*active)) {
                if (auto ok = end_active(*active, ending); !ok) return ok;
            } else {
                stirred_.insert(active->agent);
            }
        }
    } else {
        const auto key = writer_.job_key(uid);
        if (!key) return fail(key.error());
        if (auto ok = writer_.cancel_job(*key, request); !ok) return ok;
        if (auto ok = audit(who, "cancel", "Job", uid, ending.evidence); !ok) return ok;
        if (auto ok = end_ready(*key, ending); !ok) return ok;
    }
    return {};
}

void CoreImpl::cancel(std::string uid, std::string why, Who who, Done<JobRecord> done)
{
    queue_.submit<JobRecord>(std::move(done), [this, uid = std::move(uid), why = std::move(why), who = std::move(who)]() -> Result<JobRecord> {
        const auto job = writer_.read().job(uid);
        if (!job) return fail(job.error());
        if (protocol::is_final(job->state))
            return fail(Errc::conflict, fmt::format("job {} has ended already: {}{}{}", uid, protocol::name(job->state), job->reason ? ", " : "",
                                                    job->reason ? protocol::name(*job->reason) : ""));
        if (auto ok = cancel_one(uid, why, who); !ok) return fail(ok.error());
        if (auto ok = dispatch(); !ok) return fail(ok.error());
        return writer_.read().job(uid);
    });
}

void CoreImpl::when_final(std::string uid, Milliseconds wait, Done<JobRecord> done)
{
    auto kept = std::make_shared<Done<JobRecord>>(std::move(done));
    Done<JobRecord> once = [kept](Result<JobRecord> result) {
        if (auto call = std::exchange(*kept, nullptr)) call(std::move(result));
    };
    using Now = std::optional<JobRecord>;
    Done<Now> now = [once](Result<Now> result) {
        if (!result) once(fail(result.error()));
        else if (*result) once(std::move(**result));
    };
    queue_.submit<Now>(std::move(now), [this, uid = std::move(uid), until = clock_.steady() + wait, once]() -> Result<Now> {
        auto job = writer_.read().job(uid);
        if (!job) return fail(job.error());
        if (protocol::is_final(job->state) || until <= clock_.steady()) return Now(std::move(*job));
        waiters_[uid].push_back({once, until});
        return Now();
    });
}

void CoreImpl::forget_active(Active& active)
{
    std::string_view rest = active.token_record;
    {
        const std::scoped_lock lock(tokens_mutex_);
        while (!rest.empty()) {
            const std::string_view one = rest.substr(0, rest.find(';'));
            rest.remove_prefix(std::min(rest.size(), one.size() + 1));
            tokens_.erase(std::string(one.substr(0, one.find(' '))));
        }
    }
    if (const auto agent = agents_.find(active.agent); agent != agents_.end()) {
        agent->second.holds.erase(active.job);
        news_for(agent->second);
    }
    board_.vacate(active.binding->binding.id, active.job);
    active_uids_.erase(active.uid);
    active_.erase(active.job);   // `active` is gone from here on
}

Status CoreImpl::end_active(Active& active, Ending ending)
{
    const JobKey job = active.job;
    const std::string uid = active.uid;
    const BindingRef binding = active.binding;
    const std::string agent = agents_.at(active.agent).record.name;
    if (auto ok = withdraw_questions(job, fmt::format("the job is {}", protocol::name(ending.state))); !ok) return ok;
    if (auto ok = writer_.change_job({.job = job, .state = ending.state, .reason = ending.reason, .started = {}, .ended = ending.time, .closed = clock_.now()}); !ok) return ok;
    if (!ending.output.is_null() || !ending.error.is_null() || !ending.evidence.is_null())
        if (auto ok = writer_.insert_outcome(job, ending.output, ending.error, ending.evidence); !ok) return ok;
    Json detail;
    if (const Json& title = ending.error["title"]; title.is_string()) detail = Json::object({{"title", title}});
    if (auto ok = job_line(job, protocol::name(ending.state), ending.time, active.attempt, agent, protocol::name(ending.reason), std::move(detail)); !ok) return ok;
    const auto since = [](const std::optional<WallTime>& from, WallTime to) { return from ? std::optional(to - *from) : std::nullopt; };
    if (auto ok = writer_.count_job({.time = clock_.now(), .binding = binding->binding.id, .state = ending.state, .reason = ending.reason,
                                     .delay = since(active.created, active.assigned.value_or(active.created)), .run = since(active.started, ending.time)});
        !ok)
        return ok;
    if (active.progress.bytes > kLongLog)
        if (auto ok = writer_.long_log(job, active.attempt); !ok) return ok;
    forget_active(active);
    ended_.push_back(uid);
    if (ending.state == JobState::failed)
        if (auto ok = pause_when_failing(binding->binding); !ok) return ok;
    if (auto ok = trial_ended(job, uid, binding->binding, ending.state, ending.reason, ending.error); !ok) return ok;
    const std::string_view event = ending.state == JobState::successful ? "success" : ending.state == JobState::failed ? "failure" : "cancel";
    if (auto ok = notify(job, uid, binding->binding, event, true); !ok) return ok;
    return start_followers(job, uid, binding->binding, event);
}

Status CoreImpl::end_ready(JobKey job, Ending ending)
{
    const auto row = writer_.waiting_job(job);
    if (!row) return fail(row.error());
    const auto binding = known_binding(row->binding);
    if (!binding) return fail(binding.error());
    board_.remove_ready(job, row->binding, turn_of(row->priority, row->created));
    if (const auto& bound = (*binding)->needs.bound; bound)
        if (const auto agent = agent_ids_.find(bound->agent); agent != agent_ids_.end()) news_for(agents_.at(agent->second));
    if (auto ok = withdraw_questions(job, fmt::format("the job is {}", protocol::name(ending.state))); !ok) return ok;
    if (auto ok = writer_.change_job({.job = job, .state = ending.state, .reason = ending.reason, .started = {}, .ended = ending.time, .closed = clock_.now()}); !ok) return ok;
    if (auto ok = writer_.insert_outcome(job, ending.output, ending.error, ending.evidence); !ok) return ok;
    if (auto ok = job_line(job, protocol::name(ending.state), ending.time, row->attempt, {}, protocol::name(ending.reason), ending.evidence); !ok) return ok;
    if (auto ok = writer_.count_job({.time = clock_.now(), .binding = row->binding, .state = ending.state, .reason = ending.reason, .delay = {}, .run = {}}); !ok) return ok;
    ended_.push_back(row->uid);
    if (auto ok = trial_ended(job, row->uid, (*binding)->binding, ending.state, ending.reason, ending.error); !ok) return ok;
    const std::string_view event = ending.state == JobState::expired ? "expired" : "cancel";
    if (auto ok = notify(job, row->uid, (*binding)->binding, event, true); !ok) return ok;
    return start_followers(job, row->uid, (*binding)->binding, event);
}

/// The attempt is over without having run, or may run again; the next one gets a new number.
Status CoreImpl::back_to_ready(Active& active, std::string_view what, std::string_view why, Json detail)
{
    if (active.cancel)
        return end_active(active, {.state = JobState::cancelled, .reason = Reason::cancelled_by, .output = {}, .error = {},
                                   .evidence = Json::object({{"by", active.cancel->by}, {"why", active.cancel->why}}), .time = clock_.now()});
    const JobKey job = active.job;
    const std::int64_t binding = active.binding->binding.id;
    const dispatch::Turn turn = turn_of(active.priority, active.created);
    const std::uint32_t attempt = active.attempt;
    const BindingRef known = active.binding;
    if (auto ok = withdraw_questions(job, "the attempt that asked has ended"); !ok) return ok;
    if (auto ok = writer_.change_job({.job = job, .state = JobState::ready, .reason = {}, .started = {}, .ended = {}}); !ok) return ok;
    if (!why.empty()) detail = (detail.is_object() ? std::move(detail) : Json::object()).set("why", why.substr(0, 500));
    if (auto ok = job_line(job, what, clock_.now(), active.attempt, agents_.at(active.agent).record.name, {}, std::move(detail)); !ok) return ok;
    if (auto ok = job_line(job, "ready", clock_.now(), active.attempt); !ok) return ok;
    forget_active(active);
    board_.add_ready(job, binding, turn);
    watch_job(job, known->binding, attempt, clock_.now());
    return {};
}

}  // namespace mill::factory::core
