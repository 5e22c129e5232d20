// An attempt that asks people: what it asks goes on, what is answered comes back, and while it waits its time stands still.
#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "agent/job_run.h"
#include "agent/masked_event.h"
#include "platform/base/log.h"
#include "platform/base/units.h"
#include "protocol/asks.h"
#include "protocol/event.h"

namespace mill::agent {
namespace {

constexpr std::chrono::hours kNoLimit{24 * 366};
constexpr std::chrono::seconds kForgetAgain{1}, kKeepPause{5};
constexpr std::chrono::seconds kSnapshotWait{2};  // from a question to what the run would go on from
constexpr std::chrono::seconds kGoesWait{10};       // of a runner that was taken over: it says how long it has waited
constexpr std::size_t kMostKept = 16 * 1024 * 1024; // 4 MiB of data and 8 MiB of files in base64, and what it asks
constexpr std::size_t kLongestWhy = 1000;

/// As the uids that runners make.
bool is_uid(std::string_view text)
{
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-'; });
}

}  // namespace

/// True when it was one of the words of a run that asks people.
bool JobRun::on_asking(const Json& message, std::size_t bytes)
{
    if (spec_.asks == "nobody") return false;
    if (const Json* ask = message.find("ask")) {
        on_ask(*ask, bytes);
    } else if (const Json* unask = message.find("unask")) {
        on_unask(*unask);
    } else if (const Json* waits = message.find("waits")) {
        on_waits(*waits, bytes);
    } else if (const Json* goes = message.find("goes")) {
        on_goes(*goes);
    } else if (message.contains("leave")) {
        if (!waits_ && !kept_) return true;   // what lets it go is on its way to it. kept_: it goes on from before, and its timer is due
        leaves_ = true;
        let_go();
    } else {
        return false;
    }
    return true;
}

void JobRun::on_ask(const Json& ask, std::size_t bytes)
{
    const std::string& question = ask["question"].as_string();
    if (!is_uid(question)) return broken("it asks a question without a name");
    if (bytes > protocol::kMaxAskBytes) return broken(fmt::format("it asks a question of {} bytes", bytes));
    if (phase_ != Phase::running || final_recorded()) return;
    if (!asked_.contains(question)) {
        if (asked_.size() >= protocol::kMostAsked) return broken(fmt::format("it asks more than {} questions at once", protocol::kMostAsked));
        if (++asks_ > protocol::kMostAsks) return broken(fmt::format("it asks more than {} questions", protocol::kMostAsks));
        asked_.insert(question);
    }
    ports_.ledger.ask(spec_.id, masked(ask, redactor_));
}

void JobRun::on_unask(const Json& unask)
{
    const std::string& question = unask["question"].as_string();
    if (asked_.erase(question) == 0) return;
    const std::string& why = unask["why"].as_string();
    ports_.ledger.unask(spec_.id, question, why.size() > kLongestWhy ? std::string() : redactor_.apply(why));
    if (!asked_.empty() || !waits_) return;
    go_on();
    (void)forget_kept();
}

/// What the runner says of the time that it waited, as far as that can be.
Milliseconds JobRun::claimed(const Json& waited, SteadyTime now) const
{
    return std::clamp(Milliseconds(waited.as_integer()), Milliseconds(0), std::max(Milliseconds(0), std::chrono::duration_cast<Milliseconds>(now - begun_at_)));
}

void JobRun::on_waits(const Json& waits, std::size_t bytes)
{
    const std::int64_t after = waits["after"].as_integer();
    // Not counted: said while its last answer was on its way to it, or by a runner that was taken over and says it again.
    if (phase_ != Phase::running || final_recorded() || asked_.empty() || after < 0 || static_cast<std::uint64_t>(after) > last_sequence_) return;
    const SteadyTime now = ports_.clock.steady();
    if (recount_) waited_ = claimed(waits["waitedMs"], now);
    if (!std::exchange(waits_, true)) {
        if (!paused_since_) paused_since_ = now;
        (void)ports_.keeper.time(key_, kNoLimit);
        ports_.ledger.waits(spec_.id, true);
    }
    keep_after_ = static_cast<std::uint64_t>(after);
    to_keep_ = waits["snapshot"];
    if (!to_keep_.is_object()) return;
    if (bytes > kMostKept) {
        log::warning("job", "{}: a restart of this machine would end it: {} are more than the {} that are kept", key_, format_bytes(ByteCount{bytes}), format_bytes(ByteCount{kMostKept}));
        to_keep_ = Json();
        return;
    }
    to_keep_.set("waitedMs", waited_.count());
    to_keep_.set("ranMs", std::max<std::int64_t>(0, std::chrono::duration_cast<Milliseconds>(*paused_since_ - begun_at_ - waited_).count()));
}

void JobRun::on_goes(const Json& goes)
{
    if (phase_ != Phase::running || final_recorded()) return;
    const SteadyTime now = ports_.clock.steady();
    const bool told = std::exchange(recount_, false);
    go_on();
    if (told) {
        waited_ = claimed(goes["waitedMs"], now);
        wall_end_ = begun_at_ + spec_.grants.limits.time + waited_;
        tell_time();
    }
    (void)forget_kept();
}

/// It waits no more, whatever its runner says: its time counts again, and it holds a slot.
void JobRun::go_on()
{
    if (!std::exchange(waits_, false)) return;
    const SteadyTime now = ports_.clock.steady();
    const auto waited = paused_since_ ? std::chrono::duration_cast<Milliseconds>(now - *paused_since_) : Milliseconds(0);
    waited_ += waited;
    if (spec_.step && wall_end_) wall_end_ = *wall_end_ + waited;
    else wall_end_ = begun_at_ + spec_.grants.limits.time + waited_;
    if (recount_) wall_end_ = std::max(*wall_end_, now + kGoesWait);
    paused_since_.reset();
    heard_ = now;
    tell_time();
    ports_.ledger.waits(spec_.id, false);
}

void JobRun::tell_time()
{
    (void)ports_.keeper.time(key_, std::max(Milliseconds(0), std::chrono::duration_cast<Milliseconds>(*wall_end_ - ports_.clock.steady())));
}

/// What was recorded is on the disk: now that from which it would go on may be, too.
void JobRun::keep_if_due(bool at_once)
{
    if (!to_keep_.is_object() || phase_ != Phase::running || !stuck_.empty()) return;
    if (!at_once && keep_at_) return;
    keep_at_ = ports_.clock.steady() + kKeepPause;
    const Json snapshot = std::exchange(to_keep_, {});
    if (last_sequence_ != keep_after_) return;  // it has gone on
    if (auto kept = ports_.ledger.keep(spec_.id, keep_after_, snapshot); !kept) log::warning("job", "{}: a restart of this machine would end it: {}", key_, kept.error().what);
    else kept_ = true, kept_after_ = keep_after_;
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
    go_on();
    send(Json::object({{"go", true}}));
}

void JobRun::on_answered(const Json& answered)
{
    const std::string& question = answered["question"].as_string();
    if (phase_ != Phase::running || final_recorded() || !asked_.contains(question)) return ports_.ledger.heard(spec_.id, question);
    if (!forget_kept()) return;  // it is said again
    asked_.erase(question);
    keep_at_.reset();   // an answer is none of the runner's making
    if (spec_.asks == "factory") go_on();  // what a person at a terminal says may be none: then it is asked again, and waits on
    send(Json::object({{"answered", answered}}));
    ports_.ledger.heard(spec_.id, question);
}

void JobRun::stop_with_agent(Cause cause, bool end)
{
    if (final_recorded() || phase_ == Phase::over) return;
    agent_stops_ = true;
    if (beginning() && goes_on()) paused_since_ = ports_.clock.steady();
    if (leave_waiting()) return;
    if (beginning()) return give_back(cause.why);
    if (!end) return;
    if (asked_.empty() || spec_.asks != "factory" || cause_) return cancel(std::move(cause));
    stop_cause_ = std::move(cause);   // it asks: what it goes on from is on its way
    stop_at_ = ports_.clock.steady() + kSnapshotWait;
}

/// The agent stops, and so may the machine: it goes on from what was kept. False: there is nothing, or it has gone on since.
bool JobRun::leave_waiting()
{
    keep_if_due(true);
    if (!kept_ || kept_after_ != last_sequence_ || !paused_since_ || cause_ || final_recorded()) return false;
    log::info("job", "{}: it waits for a person, and goes on when this agent starts again", key_);
    killed_ = true;
    phase_ = Phase::over;
    (void)ports_.keeper.kill(key_);
    return true;
}

}  // namespace mill::agent
