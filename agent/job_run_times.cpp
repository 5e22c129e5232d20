// An attempt's deadlines: what is due, and when something is next.
#include <fmt/format.h>

#include "agent/job_run.h"

namespace mill::agent {

using protocol::JobState;
using protocol::Reason;

void JobRun::tick(SteadyTime now)
{
    if (retry_at_ && now >= *retry_at_) {
        retry_at_.reset();
        write_stuck();
        let_go();
    }
    if (phase_ == Phase::over || killed_) return;
    if (seal_at_ && now >= *seal_at_) ask_for_box();
    if (keep_at_ && now >= *keep_at_) keep_at_.reset();
    if (stop_at_ && now >= *stop_at_) {
        stop_at_.reset();
        if (!cause_) cancel(stop_cause_);
    }
    if (const auto end = outbox_.end(); end && now >= *end) return broken("it does not read what it is told");
    if (wall_end_ && now >= *wall_end_ && !final_recorded() && !paused_since_) {
        stop_now({JobState::failed, Reason::timeout, fmt::format("the job ran longer than its {}", format_duration(spec_.grants.limits.time)), Json()});
    } else if (const auto end = idle_end(); end && now >= *end && !final_recorded() && !paused_since_) {
        stop_now({JobState::failed, Reason::timeout, fmt::format("the job did nothing for its {} (limits: idle): no step began or ended, no line was logged", format_duration(spec_.grants.limits.idle)),
                  Json::object({{"limit", "idle"}})});
    } else if (spec_.repeatable && lease_end_ && now >= *lease_end_ && !final_recorded()) {
        stop_now({JobState::failed, Reason::agent_lost, "the lease ran out while the factory was not reachable; the job may be repeated",
                  Json::object({{"lease", "expired"}})});
    } else if (kill_at_ && now >= *kill_at_) {
        const bool early = beginning();
        if (early && !sealing_trouble_.empty()) return give_back(sealing_trouble_);
        stop_now({JobState::failed, Reason::internal,
                  !early ? "the runner did not end in time" : ready_ ? "the broker did not answer in time" : "the runner did not get ready in time",
                  Json()});
    }
}

/// When a runner that says nothing is ended.
std::optional<SteadyTime> JobRun::idle_end() const
{
    const Milliseconds idle = spec_.grants.limits.idle;
    if (idle.count() == 0 || !heard_ || beginning()) return std::nullopt;
    return *heard_ + idle;
}

std::optional<SteadyTime> JobRun::next_tick() const
{
    std::optional<SteadyTime> next = retry_at_;
    const auto earlier = [&](const std::optional<SteadyTime>& time) {
        if (time && (!next || *time < *next)) next = time;
    };
    if (phase_ != Phase::over && !killed_) {
        earlier(kill_at_);
        earlier(seal_at_);
        earlier(stop_at_);
        earlier(outbox_.end());
        if (to_keep_.is_object()) earlier(keep_at_);
        if (!final_recorded()) {
            if (!paused_since_) earlier(wall_end_);
            if (!paused_since_) earlier(idle_end());
            if (spec_.repeatable) earlier(lease_end_);
        }
    }
    return next;
}

}  // namespace mill::agent
