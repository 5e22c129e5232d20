#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/log.h"

namespace mill::factory::core {

using protocol::JobState;
using protocol::Reason;

/// Memory has gone on meanwhile: all of it is read anew from the store.
static Error timers_failed(const Error& error)
{
    log::error("core", "what is due cannot be done: {}", error.what);
    return {error.code == Errc::unavailable ? error.code : Errc::internal, error.what};
}

void CoreImpl::timer_loop(std::stop_token stop)
{
    // A second is fine enough for everything here but schedules, which wake it; what must be quicker is driven by events.
    const auto pause = [this] {
        if (retains_ && !loaded_writer_) return Milliseconds(25);
        const std::int64_t firing = next_firing_;
        const auto left = std::chrono::ceil<Milliseconds>(Microseconds(firing - clock_.now().microseconds));
        return firing == 0 ? Milliseconds(1'000) : std::clamp(left, Milliseconds(10), Milliseconds(1'000));
    };
    while (clock_.sleep(pause(), stop)) submit_tick({});
}

void CoreImpl::run_timers()
{
    (void)await<Nothing>([this](Done<Nothing> done) { submit_tick(std::move(done)); });
}

void CoreImpl::submit_tick(Done<Nothing> done)
{
    queue_.submit<Nothing>({}, [this]() -> Result<Nothing> {
        if (auto ok = tick(); !ok) return fail(timers_failed(ok.error()));
        return Nothing{};
    });
    // On its own: what cannot be removed stops nothing else.
    queue_.submit<Nothing>(std::move(done), [this, asked = clock_.steady()]() -> Result<Nothing> {
        if (auto ok = tick_retention(asked, clock_.now()); !ok) return fail(ok.error());
        return Nothing{};
    });
}

Status CoreImpl::tick()
{
    const SteadyTime now = clock_.steady();
    const WallTime wall = clock_.now();
    if (auto ok = tick_ready(wall); !ok) return ok;
    if (auto ok = note_waits(now); !ok) return ok;
    if (auto ok = tick_questions(wall); !ok) return ok;
    if (auto ok = tick_schedules(wall); !ok) return ok;
    if (auto ok = tick_active(now); !ok) return ok;
    if (auto ok = tick_agents(now); !ok) return ok;
    if (auto ok = tick_watches(wall); !ok) return ok;
    ticked_ = true;   // those who wait for an end are answered after the commit
    const auto due = writer_.next_delivery();
    if (!due) return fail(due.error());
    if ((*due && **due <= wall) || probe_due(wall)) deliveries_made_ = true;
    return dispatch();
}

Status CoreImpl::tick_ready(WallTime now)
{
    const auto due = writer_.due_to_expire(now, 1'000);
    if (!due) return fail(due.error());
    for (const JobKey job : *due) {
        const auto row = writer_.waiting_job(job);
        if (!row) return fail(row.error());
        const auto binding = known_binding(row->binding);
        if (!binding) return fail(binding.error());
        if (on_hold((*binding)->binding.environment)) continue;   // it may have run
        auto approval = expire_approval(job, now);
        if (!approval) return fail(approval.error());
        Json evidence = approval->is_null() ? Json::object({{"waitedFor", waiting_for(*binding)}}) : std::move(*approval);
        evidence.set("waitedMs", (now - row->created).count() / 1000);
        if (auto ok = end_ready(job, {.state = JobState::expired, .reason = Reason::not_started, .output = {}, .error = {},
                                      .evidence = std::move(evidence), .time = now});
            !ok)
            return ok;
    }
    return {};
}

Status CoreImpl::tick_active(SteadyTime now)
{
    std::vector<JobKey> silent;
    for (const auto& [job, active] : active_)
        if (now - active.renewed >= options_.lease) silent.push_back(job);
    for (const JobKey job : silent) {
        Active& active = active_.at(job);
        Agent& agent = agents_.at(active.agent);
        if (awaited_.contains(agent.key) && on_hold(active.binding->binding.environment)) continue;   // it may have gone on, or ended, in what was lost
        const Milliseconds limit = active.binding->needs.offline_limit.value_or(options_.offline_limit);
        const protocol::AttemptId id{active.uid, active.epoch, active.attempt};
        if (active.binding->binding.repeatable) {   // its agent has killed it by now, by its own clock
            if (auto ok = back_to_ready(active, "lease_expired", fmt::format("{} was silent for {}", agent.record.name, format_duration(options_.lease))); !ok)
                return ok;
        } else if (waits_for_people(active)) {
            continue;   // nothing of it goes on that could be lost: its agent may be off overnight
        } else if (now - std::max(active.renewed, active.owed) >= limit) {
            Json evidence = Json::object({{"agent", agent.record.name}, {"silentSince", format_time(active.heard)}, {"limit", format_duration(limit)}});
            if (auto ok = end_active(active, {.state = JobState::failed, .reason = Reason::agent_lost, .output = {}, .error = {},
                                              .evidence = std::move(evidence), .time = clock_.now()});
                !ok)
                return ok;
        } else {
            continue;
        }
        agent.drops.push_back(id);
        stirred_.insert(agent.key);
    }
    return {};
}

Status CoreImpl::tick_agents(SteadyTime now)
{
    for (auto& [key, agent] : agents_) {
        if (!agent.refusals.empty())
            if (auto ok = tick_refusals(agent, clock_.now()); !ok) return ok;
        if (agent.parked && now >= agent.parked->until) stirred_.insert(key);   // answered after the commit
        if (!agent.parked) {
            if (agent.online && now >= agent.gap_until)
                if (auto ok = go_offline(agent, "no poll"); !ok) return ok;
            continue;
        }
        if (agent.rest_until.microseconds != 0 && now >= agent.rest_until) {
            agent.rest_until = {};
            free_now(agent);
        }
        for (const JobKey job : agent.holds)
            if (offer_due(active_.at(job)) || answers_due(active_.at(job))) stirred_.insert(key);
    }
    return {};
}

void CoreImpl::tick_waiters(SteadyTime now)
{
    for (auto it = waiters_.begin(); it != waiters_.end();) {
        std::vector<Waiter>& waiters = it->second;
        for (std::size_t i = 0; i < waiters.size();) {
            if (now < waiters[i].until) {
                ++i;
                continue;
            }
            waiters[i].done(writer_.read().job(it->first));
            waiters.erase(waiters.begin() + static_cast<std::ptrdiff_t>(i));
        }
        it = waiters.empty() ? waiters_.erase(it) : std::next(it);
    }
}

}  // namespace mill::factory::core
