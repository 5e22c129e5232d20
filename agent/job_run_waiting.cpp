// An attempt that asks people: what it asks goes on, what is answered comes back, and while it waits its time stands still.
#include <utility>

#include <fmt/format.h>

#include "agent/job_run.h"
#include "agent/masked_event.h"
#include "platform/base/log.h"

namespace mill::agent {
namespace {

constexpr std::chrono::hours kNoLimit{24 * 366};
constexpr std::chrono::seconds kForgetAgain{1};

}  // namespace

/// True when it was one of the words of a run that asks people.
bool JobRun::on_asking(const Json& message)
{
    if (spec_.asks == "nobody") return false;
    if (const Json* ask = message.find("ask")) {
        const std::string& question = (*ask)["question"].as_string();
        if (question.empty() || phase_ != Phase::running || final_recorded()) return phase_ != Phase::running;
        asked_.insert(question);
        ports_.ledger.ask(spec_.id, masked(*ask, redactor_));
    } else if (const Json* unask = message.find("unask")) {
        if (asked_.erase((*unask)["question"].as_string()) > 0) ports_.ledger.unask(spec_.id, (*unask)["question"].as_string(), (*unask)["why"].as_string());
    } else if (const Json* waits = message.find("waits")) {
        on_waits(*waits);
    } else if (const Json* goes = message.find("goes")) {
        on_goes(*goes);
    } else if (message.contains("leave")) {
        leaves_ = true;
        let_go();
    } else {
        return false;
    }
    return true;
}

void JobRun::on_waits(const Json& waits)
{
    if (phase_ != Phase::running || final_recorded()) return;
    if (!paused_since_) {
        paused_since_ = ports_.clock.steady();
        (void)ports_.keeper.time(key_, kNoLimit);
        ports_.ledger.waits(spec_.id, true);
    }
    waited_ = Milliseconds(waits["waitedMs"].as_integer());
    to_keep_ = waits["snapshot"];
    keep_after_ = static_cast<std::uint64_t>(waits["after"].as_integer());
    if (to_keep_.is_object()) to_keep_.set("ranMs", std::chrono::duration_cast<Milliseconds>(*paused_since_ - begun_at_ - waited_).count());
}

void JobRun::on_goes(const Json& goes)
{
    const SteadyTime now = ports_.clock.steady();
    waited_ = Milliseconds(goes["waitedMs"].as_integer());
    if (spec_.step && wall_end_ && paused_since_) wall_end_ = *wall_end_ + (now - *paused_since_);
    else wall_end_ = begun_at_ + spec_.grants.limits.time + waited_;
    paused_since_.reset();
    heard_ = now;
    (void)ports_.keeper.time(key_, std::max(Milliseconds(0), std::chrono::duration_cast<Milliseconds>(*wall_end_ - now)));
    ports_.ledger.waits(spec_.id, false);
    (void)forget_kept();
}

/// What was recorded is on the disk: now that from which it would go on may be, too.
void JobRun::keep_if_due()
{
    if (!to_keep_.is_object() || phase_ != Phase::running || !stuck_.empty()) return;
    if (last_sequence_ < keep_after_) return;
    const Json snapshot = std::exchange(to_keep_, {});
    if (last_sequence_ != keep_after_) return;  // it has gone on
    if (auto kept = ports_.ledger.keep(spec_.id, keep_after_, snapshot); !kept) log::warning("job", "{}: a restart of this machine would end it: {}", key_, kept.error().what);
    else kept_ = true;
}

/// False: it is still on the disk, and nothing may happen from which it could not be told apart.
bool JobRun::forget_kept()
{
    to_keep_ = Json();
    if (!kept_) return true;
    if (auto gone = ports_.ledger.keep(spec_.id, 0, Json()); !gone) {
        log::error("job", "{}: it cannot go on before what was kept of it is gone: {}", key_, gone.error().what);
        return false;
    }
    kept_ = false;
    return true;
}

/// A timer of the run is due.
void JobRun::let_go()
{
    if (!leaves_) return;
    if (!forget_kept()) {
        retry_at_ = ports_.clock.steady() + kForgetAgain;
        return;
    }
    leaves_ = false;
    send(Json::object({{"go", true}}));
}

void JobRun::on_answered(const Json& answered)
{
    const std::string& question = answered["question"].as_string();
    if (phase_ != Phase::running || final_recorded() || !asked_.contains(question)) return ports_.ledger.heard(spec_.id, question);
    if (!forget_kept()) return;  // it is said again
    asked_.erase(question);
    send(Json::object({{"answered", answered}}));
    ports_.ledger.heard(spec_.id, question);
}

/// The agent stops, and so may the machine: it goes on from what was kept. False: there is nothing.
bool JobRun::leave_waiting()
{
    if (!kept_ || !paused_since_ || cause_ || final_recorded()) return false;
    log::info("job", "{}: it waits for a person, and goes on when this agent starts again", key_);
    killed_ = true;
    phase_ = Phase::over;
    (void)ports_.keeper.kill(key_);
    return true;
}

}  // namespace mill::agent
