#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "protocol/metric.h"

namespace mill::factory::core {

using protocol::Event;
using protocol::EventKind;
using protocol::JobState;

Active* CoreImpl::active_of(std::string_view uid)
{
    const auto found = active_uids_.find(std::string(uid));
    return found == active_uids_.end() ? nullptr : &active_.at(found->second);
}

namespace {

/// In place of an event that cannot be taken: it is acknowledged, and whoever reads the log sees that it was there.
Event tombstone(std::uint64_t sequence, WallTime time, const std::string& why)
{
    return {sequence, time, EventKind::gap, Json::object({{"kind", "refused"}, {"lost", 1}, {"why", why.substr(0, 500)}})};
}

Event gap(std::uint64_t sequence, WallTime time, std::string_view kind, std::uint64_t lost)
{
    return {sequence, time, EventKind::gap, Json::object({{"kind", kind}, {"lost", lost}})};
}

}  // namespace

void CoreImpl::ingest(std::string agent, std::vector<EventBatch> batches, Done<std::vector<EventAnswer>> done)
{
    auto kept = std::make_shared<std::vector<EventBatch>>(std::move(batches));   // shared: a function value must be copyable
    queue_.submit<std::vector<EventAnswer>>(std::move(done), [this, agent = std::move(agent), kept]() -> Result<std::vector<EventAnswer>> {
        const auto found = agent_by_id(agent);
        if (!found) return fail(found.error());
        std::vector<EventAnswer> answers;
        for (EventBatch& batch : *kept) {
            auto answer = ingest_one(**found, batch);
            if (!answer) return fail(answer.error());
            answers.push_back(std::move(*answer));
        }
        if (auto ok = dispatch(); !ok) return fail(ok.error());   // an end may have made room under a trigger's concurrency
        return answers;
    });
}

Result<EventAnswer> CoreImpl::ingest_one(Agent& agent, EventBatch& batch)
{
    const bool awaited = awaited_.contains(agent.key), again = !batch.offer.is_null() && awaited;
    const bool holes = again || (awaited && !agent.can_repeat);   // what an older program was told is safe it does not have any more
    if (again) {
        const auto taken = adopt(agent, batch);
        if (!taken) return fail(taken.error());
        if (*taken == nullptr) return keep_stale(agent, batch, true);
    }
    Active* active = active_of(batch.id.job);
    if (!active || active->attempt != batch.id.attempt || batch.id.epoch != active->epoch || active->agent != agent.key) return keep_stale(agent, batch);
    EventAnswer answer{.id = batch.id, .acknowledged = active->progress.acknowledged, .standing = Standing::current, .refused = {}};
    active->named = true;
    active->doubtful = false;
    active->input.reset();
    active->renewed = clock_.steady();
    active->heard = clock_.now();

    std::vector<Event> kept;
    std::optional<Ending> ending;
    Writer::Progress& progress = active->progress;
    const bool full = progress.bytes >= options_.record_quota;
    for (EventBatch::Item& item : batch.events) {
        if (item.sequence <= answer.acknowledged) continue;      // said before
        const std::uint64_t missing = item.sequence - answer.acknowledged - 1;
        if (missing > 0 && !holes) break;                        // a hole: the answer says what is expected
        if (missing > 0 && answer.acknowledged == 0 && active->state == JobState::assigned) {   // it has begun, and when is not known any more
            active->state = JobState::running;
            active->started = active->started.value_or(clock_.now());
            if (auto ok = writer_.change_job({.job = active->job, .state = JobState::running, .reason = {}, .started = active->started, .ended = {}}); !ok)
                return fail(ok.error());
        }
        if (missing > 0) kept.push_back(gap(item.sequence - 1, clock_.now(), "log", missing));   // the agent keeps the most telling ones
        answer.acknowledged = item.sequence;
        std::string refused;
        if (!item.event) refused = item.event.error().what;
        else if (ending) refused = "it follows a final state";
        else if (item.event->kind == EventKind::state) {
            if (auto ok = take_state(*active, *item.event, ending, refused); !ok) return fail(ok.error());
        } else if (item.event->body["tell"].as_bool() && item.event->kind == EventKind::log) {
            if (auto ok = take_told(*active, *item.event); !ok) return fail(ok.error());
            if (!full) kept.push_back(std::move(*item.event));
        } else if (item.event->kind == EventKind::metric) {
            if (auto ok = take_metric(*active, *item.event, refused); !ok) return fail(ok.error());
        } else if (full) {
            ++(item.event->kind == EventKind::step ? progress.lost_steps : progress.lost_logs);
        } else {
            kept.push_back(std::move(*item.event));
        }
        if (refused.empty()) continue;
        kept.push_back(tombstone(item.sequence, clock_.now(), refused));
        answer.refused.push_back({item.sequence, std::move(refused)});
    }
    if (answer.acknowledged == progress.acknowledged) return answer;
    progress.acknowledged = answer.acknowledged;
    if (ending && progress.lost_steps > 0) kept.push_back(gap(answer.acknowledged, clock_.now(), "step", progress.lost_steps));
    if (ending && progress.lost_logs > 0) kept.push_back(gap(answer.acknowledged, clock_.now(), "log", progress.lost_logs));
    if (!kept.empty()) {
        const auto bytes = writer_.append_events(active->job, active->attempt, kept, false);
        if (!bytes) return fail(bytes.error());
        progress.bytes += *bytes;
    }
    if (auto ok = writer_.progress(active->job, active->attempt, progress); !ok) return fail(ok.error());
    if (ending) {
        answer.standing = Standing::final;
        if (auto ok = end_active(*active, std::move(*ending)); !ok) return fail(ok.error());
    }
    return answer;
}

Status CoreImpl::take_state(Active& active, const Event& event, std::optional<Ending>& ending, std::string& refused)
{
    const auto state = protocol::parse_state(event.body["state"].as_string());
    const std::string& name = agents_.at(active.agent).record.name;
    if (!state || *state == JobState::ready || *state == JobState::assigned || *state == JobState::expired) {
        refused = fmt::format("an agent does not report the state '{}'", event.body["state"].as_string());
        return {};
    }
    if (protocol::is_final(*state)) {
        using protocol::Reason;
        const Reason usual = *state == JobState::successful ? Reason::completed : *state == JobState::cancelled ? Reason::cancelled_by : Reason::error;
        ending = Ending{.state = *state, .reason = protocol::parse_reason(event.body["reason"].as_string()).value_or(usual),
                        .output = event.body["output"], .error = event.body["error"], .evidence = event.body["evidence"], .time = event.time};
        return {};
    }
    if (*state == active.state) return {};
    const bool starts = active.state == JobState::assigned;
    active.state = *state;
    std::optional<WallTime> started;
    if (starts) active.started = started = event.time;
    if (auto ok = writer_.change_job({.job = active.job, .state = *state, .reason = {}, .started = started, .ended = {}}); !ok) return ok;
    if (auto ok = job_line(active.job, protocol::name(*state), event.time, active.attempt, name, {}, event.body["detail"]); !ok) return ok;
    Agent& agent = agents_.at(active.agent);
    active.asking.reset();
    if (starts && !agent.record.user.empty())
        if (auto ok = writer_.put_person_job(agent.key, active.job, agent.record.user, {}); !ok) return ok;
    news_for(agent);
    if (starts && active.attempt == 1) return notify(active.job, active.uid, active.binding->binding, "start", false);
    return {};
}

/// Published in the transaction that acknowledges it, so it is there once; what cannot be is said in the job's log.
Status CoreImpl::take_metric(const Active& active, const Event& event, std::string& refused)
{
    Json said = event.body;
    // An agent whose clock is far ahead: of now, and no two at the same time, which would be one.
    if (event.time > clock_.now() + std::chrono::minutes(5)) said.set("time", format_time(clock_.now() + Microseconds(static_cast<std::int64_t>(event.sequence % 1'000'000))));
    const auto point = protocol::parse_metric(said, "metric.publish", clock_.now());
    if (!point) refused = point.error().what;
    else if (!protocol::admits_metric(active.binding->permissions.publish_metrics, point->name)) refused = fmt::format("metric '{}' may not be published by this deployment", point->name);
    if (!refused.empty()) return {};
    auto done = writer_.publish(*point, clock_.now());
    if (done || (done.error().code != Errc::conflict && done.error().code != Errc::too_large)) return done;
    refused = done.error().what;
    return {};
}

/// Events of an attempt that is not current: kept as evidence and acknowledged; they change no state.
Result<EventAnswer> CoreImpl::keep_stale(Agent& agent, EventBatch& batch, bool again)
{
    EventAnswer answer{.id = batch.id, .acknowledged = 0, .standing = Standing::stale, .refused = {}};
    const auto row = writer_.attempt(batch.id.job, batch.id.attempt);
    if (!row && row.error().code != Errc::not_found) return fail(row.error());
    if (!again && (!row || row->epoch != batch.id.epoch) && waits_for(agent)) {
        answer.standing = Standing::current;   // not given up before its agent has said what it was, which acknowledges it
        return answer;
    }
    if (!row || row->epoch != batch.id.epoch) {   // of a store that is gone: nothing to keep it with, and it must not block the stream
        for (const auto& item : batch.events) answer.acknowledged = std::max(answer.acknowledged, item.sequence);
        return answer;
    }
    if (row->agent != agent.key) return answer;   // another agent's attempt: neither kept nor acknowledged
    answer.acknowledged = row->acknowledged;
    if (protocol::is_final(row->job_state) && row->latest == row->attempt) answer.standing = Standing::final;
    std::vector<Event> kept;
    std::optional<Event> final;
    for (EventBatch::Item& item : batch.events) {
        if (item.sequence <= answer.acknowledged) continue;
        if (item.sequence != answer.acknowledged + 1 && !awaited_.contains(agent.key)) break;
        answer.acknowledged = item.sequence;
        if (row->bytes >= options_.record_quota) continue;
        if (item.event && protocol::final_state(*item.event)) final = *item.event;
        kept.push_back(item.event ? std::move(*item.event) : tombstone(item.sequence, clock_.now(), item.event.error().what));
    }
    if (answer.acknowledged == row->acknowledged) return answer;
    std::uint64_t bytes = row->bytes;
    if (!kept.empty()) {
        const auto more = writer_.append_events(row->job, row->attempt, kept, true);
        if (!more) return fail(more.error());
        bytes += *more;
    }
    if (auto ok = writer_.progress(row->job, row->attempt, {answer.acknowledged, bytes, 0, 0}); !ok) return fail(ok.error());
    if (final)
        if (auto ok = job_line(row->job, "reported_late", clock_.now(), row->attempt, agent.record.name, final->body["reason"].as_string(),
                               Json::object({{"state", final->body["state"]}}));
            !ok)
            return fail(ok.error());
    return answer;
}

Result<HeldAnswer> CoreImpl::standing_of(Agent& agent, const protocol::AttemptId& id, bool names_it)
{
    HeldAnswer answer{.id = id, .standing = Standing::stale, .acknowledged = 0, .cancel = {}};
    if (Active* active = active_of(id.job); active && active->attempt == id.attempt && active->epoch == id.epoch && active->agent == agent.key) {
        if (names_it) {
            active->doubtful = false;
            active->named = true;
            active->input.reset();
            active->renewed = clock_.steady();
            active->heard = clock_.now();
        }
        answer.standing = Standing::current;
        answer.acknowledged = active->progress.acknowledged;
        answer.cancel = active->cancel;
        return answer;
    }
    const auto row = writer_.attempt(id.job, id.attempt);
    if (!row && row.error().code != Errc::not_found) return fail(row.error());
    if ((!row || row->epoch != id.epoch) && waits_for(agent)) answer.standing = Standing::current;
    if (!row || row->epoch != id.epoch || row->agent != agent.key) return answer;
    answer.acknowledged = row->acknowledged;
    if (protocol::is_final(row->job_state) && row->latest == row->attempt) answer.standing = Standing::final;
    return answer;
}

void CoreImpl::renew(std::string agent, std::vector<protocol::AttemptId> held, Done<std::vector<HeldAnswer>> done)
{
    queue_.submit<std::vector<HeldAnswer>>(std::move(done), [this, agent = std::move(agent), held = std::move(held)]() -> Result<std::vector<HeldAnswer>> {
        const auto found = agent_by_id(agent);
        if (!found) return fail(found.error());
        (*found)->record.last_seen = clock_.now();
        std::vector<HeldAnswer> answers;
        for (const protocol::AttemptId& id : held) {
            auto answer = standing_of(**found, id, true);
            if (!answer) return fail(answer.error());
            answers.push_back(std::move(*answer));
        }
        return answers;
    });
}

}  // namespace mill::factory::core
