#include "agent/job_run.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "agent/job_words.h"
#include "agent/masked_event.h"
#include "platform/base/log.h"
#include "protocol/metric.h"
#include "protocol/secrets.h"

namespace mill::agent {
namespace {

using protocol::Event;
using protocol::JobState;
using protocol::Reason;

constexpr std::chrono::seconds kStartWait{30};    // sandbox, runner, broker
constexpr std::chrono::seconds kCancelWait{8};    // from the word to the kill: 3 s of its commands (kCommandGrace), 5 s of its own
constexpr std::chrono::seconds kLeaveWait{5};     // a runner that was told that its last event is safe
constexpr std::chrono::seconds kDiskWait{1};
constexpr std::chrono::seconds kResumeWait{10};   // a runner that was taken over says again what it said
constexpr std::chrono::hours kLongestKept{24 * 366};
constexpr std::chrono::minutes kAgainWait{60};    // one that goes on after a restart of the machine: the factory may be away

}  // namespace

JobRun::JobRun(RunSpec spec, Ports ports)
    : spec_(std::move(spec)), redactor_(protocol::redactor_of_credentials(spec_.credentials)), key_(spec_.id.key()), ports_(std::move(ports))
{
    for (const std::string& text : spec_.masks) redactor_.add(text);
}

void JobRun::start()
{
    kill_at_ = ports_.clock.steady() + (goes_on() ? Milliseconds(kAgainWait) : Milliseconds(kStartWait));
    if (goes_on()) {
        last_sequence_ = acked_ = kept_after_ = spec_.last_sequence;
        kept_ = true;
    }
    open_broker();  // at the same time as the sandbox
    if (auto sent = ports_.keeper.start(key_, sandbox_request(spec_)); !sent) on_refused(sent.error().code, sent.error().what);
}

void JobRun::adopt(platform::Channel job, SteadyTime started, std::uint64_t last, bool ended)
{
    job_ = std::move(job);
    last_sequence_ = acked_ = kept_after_ = last;
    begun_ = resumed_ = recount_ = true;
    outbox_.clear();
    heard_ = ports_.clock.steady();
    begun_at_ = started;
    // What it has waited for people does not count: it says so in a moment.
    wall_end_ = std::max(started + spec_.grants.limits.time, *heard_ + kResumeWait);
    kept_ = !spec_.snapshot.is_null();
    if (kept_) ports_.ledger.waits(spec_.id, false);   // until it says so itself
    spec_.snapshot = Json();
    phase_ = Phase::running;
    if (ended) {
        final_sequence_ = last;
        synced_final_ = true;
        phase_ = Phase::leaving;
        kill_at_ = ports_.clock.steady() + kLeaveWait;
    } else {
        open_broker();
    }
    send(Json::object({{"resume", last}}));
    if (ended) send(Json::object({{"ack", last}}));
}

void JobRun::on_started(platform::Channel job, std::string nonce, const std::vector<std::string>& notes)
{
    job_ = std::move(job);
    outbox_.clear();
    nonce_ = std::move(nonce);
    notes_ = notes;
    if (phase_ != Phase::starting) return;
    phase_ = Phase::opening;
    if (cause_) stop_now(*cause_);
}

void JobRun::on_refused(Errc code, const std::string& why)
{
    if (phase_ == Phase::over) return;
    if (!cause_ && !goes_on() && (code == Errc::unavailable || code == Errc::timeout)) {
        ports_.ledger.not_held(spec_.id, "no sandbox: " + why);
        phase_ = Phase::over;
        return;
    }
    const bool ours = code == Errc::internal || code == Errc::corrupt;
    if (!cause_) cause_ = Cause{JobState::failed, ours ? Reason::internal : Reason::refused, why, Json()};
    end_ = RunnerEnd{};
    conclude();
}

/// Both sides are ready: from here on the attempt counts as started.
void JobRun::commit()
{
    if (phase_ != Phase::opening || !ready_ || !opened_ || cause_) return;
    const SteadyTime now = ports_.clock.steady();
    if (goes_on()) {
        const auto kept = [&](const char* member) { return Milliseconds(std::clamp<std::int64_t>(spec_.snapshot[member].as_integer(), 0, Milliseconds(kLongestKept).count())); };
        waited_ = kept("waitedMs");
        begun_at_ = now - kept("ranMs") - waited_;
        wall_end_ = std::max(begun_at_ + spec_.grants.limits.time + waited_, now + kStartWait);   // it waits in a moment
        heard_ = now;
        kill_at_.reset();
        ports_.ledger.waits(spec_.id, false);   // until it says so itself
        phase_ = Phase::committing;
        return;
    }
    const Event running = protocol::state_event(1, ports_.clock.now(), JobState::running, {}, isolation_words(notes_));
    if (auto done = ports_.ledger.started(spec_.id, running, now); !done) {
        log::error("job", "{}: {}", key_, done.error().what);
        return give_back(done.error().what);
    }
    last_sequence_ = 1;
    begun_at_ = now;
    wall_end_ = now + spec_.grants.limits.time;
    heard_ = now;
    kill_at_.reset();
    phase_ = Phase::committing;
}

/// It never started, and nothing of it is reported.
void JobRun::give_back(const std::string& why)
{
    if (goes_on())
        return stop_now({JobState::failed, Reason::outcome_unknown, "this machine was started again while the job waited, and it cannot go on: " + why, Json()});
    ports_.ledger.not_held(spec_.id, why);
    phase_ = Phase::leaving;
    final_sequence_ = 1;
    synced_final_ = true;
    killed_ = true;
    (void)ports_.keeper.kill(key_);
}

void JobRun::after_sync()
{
    if (phase_ == Phase::committing) {
        phase_ = Phase::running;
        begun_ = true;
    }
    if (begun_ && ready_ && phase_ == Phase::running) {
        ready_ = false;  // said once for each `ready`
        acked_ = std::max<std::uint64_t>(acked_, std::max<std::uint64_t>(1, spec_.last_sequence));
        send(begin_words(spec_));
        spec_.snapshot = Json();
        if (cause_ && cause_->reason == Reason::cancelled_by) cancel(*cause_);
    }
    if (final_recorded() && stuck_.empty()) synced_final_ = true;
    keep_if_due(agent_stops_);
    if (agent_stops_ && phase_ == Phase::running && leave_waiting()) return;
    if (job_.valid()) outbox_.go_on(job_, ports_.clock.steady());
    const std::uint64_t safe = stuck_.empty() ? last_sequence_ : stuck_.front().sequence - 1;
    if (safe > acked_ && job_.valid() && !outbox_.waits()) {   // else behind what waits, in the turn that sent it
        // A later acknowledgement says the same and more.
        const std::string ack = dump_json(Json::object({{"ack", safe}}));
        const auto sent = job_.send(ack, nullptr, {}, std::chrono::milliseconds(0));
        if (sent) acked_ = safe;
        else if (sent.error().code == Errc::timeout) retry_at_ = ports_.clock.steady() + kDiskWait;
    }
    leave_if_over();
}

void JobRun::send(const Json& message)
{
    if (job_.valid() && !outbox_.say(job_, dump_json(message), ports_.clock.steady())) broken("it does not read what it is told");
}

const platform::Channel* JobRun::channel() const
{
    return job_.valid() && stuck_.empty() ? &job_ : nullptr;
}

void JobRun::on_readable()
{
    auto message = job_.receive(std::chrono::milliseconds(0));
    if (!message) {
        if (message.error().code == Errc::corrupt) broken(message.error().what);
        job_ = platform::Channel();  // its end follows from the keeper
        if (!end_ && phase_ != Phase::leaving && phase_ != Phase::over && !kill_at_) kill_at_ = ports_.clock.steady() + kLeaveWait;
        if (end_) conclude();
        return;
    }
    if (!*message) return;
    auto json = parse_json((*message)->text, {platform::Channel::kMaxMessage, 128});
    if (!json) return broken("it sent what is no JSON: " + json.error().what);
    on_message(*json, (*message)->text.size());
}

void JobRun::on_message(const Json& message, std::size_t bytes)
{
    if (message.contains("ready")) {
        if (!nonce_.empty() && message["nonce"].as_string() != nonce_) return broken("another runner than the one that was started answers");
        ready_ = true;
        if (phase_ == Phase::opening) commit();
    } else if (const Json* event = message.find("event"); event != nullptr) {
        auto read = protocol::parse_event(*event);
        if (!read) return broken("it sent an event that is none: " + read.error().what);
        on_event(std::move(*read), bytes);
    } else if (const Json* read = message.find("read"); read != nullptr) {
        ask_metric(*read);
    } else if (message.contains("cloudEvent") || message.contains("trace")) {
        if (spec_.events || spec_.trace) ports_.ledger.extra(spec_.id, message);
    } else if (!on_asking(message, bytes) && !on_watched(message)) {
        broken("it sent a message that is not in the contract");
    }
}

/// What only a person's own run says. An agent's job that says it breaks the contract.
bool JobRun::on_watched(const Json& message)
{
    const SteadyTime now = ports_.clock.steady();
    if (spec_.step && message.contains("paused")) {
        if (!paused_since_) paused_since_ = now;
    } else if (spec_.step && message.contains("resumed")) {
        if (paused_since_ && wall_end_) wall_end_ = *wall_end_ + (now - *paused_since_);
        heard_ = now;
        paused_since_.reset();
    } else if (!(spec_.step && message.contains("looked")) && !(!spec_.rehearsal.is_null() && message.contains("rehearsed"))) {
        return false;
    }
    ports_.ledger.extra(spec_.id, message);
    return true;
}

void JobRun::ask_metric(const Json& asked)
{
    const auto number = static_cast<std::uint64_t>(asked["id"].as_integer());
    if (!begun_ || !protocol::admits_metric(spec_.grants.read_metrics, asked["metric"]["name"].as_string())) return broken("it asks for a metric that it may not read");
    heard_ = ports_.clock.steady();
    go_on();
    if (!ports_.read || !ports_.read({spec_.id, number, asked["metric"], spec_.attempt_token}))
        on_read(number, Json::object({{"error", Json::object({{"type", "communication"}, {"status", 503}, {"detail", "no factory can be asked for metrics now"}})}}));
}

void JobRun::on_read(std::uint64_t number, const Json& answer)
{
    Json read = answer;
    send(Json::object({{"read", read.set("id", number)}}));
}

void JobRun::on_event(Event event, std::size_t bytes)
{
    if (event.sequence <= last_sequence_) {  // sent again after a resume
        acked_ = std::min(acked_, last_sequence_ - 1);
        return;
    }
    if (final_recorded()) return;
    heard_ = ports_.clock.steady();
    if (phase_ != Phase::running) return broken("it sent an event before it was told to begin");
    // The process before this one may have read what it did not write down; the runner says all of it again.
    if (resumed_ && event.sequence > last_sequence_ + 1) return;
    resumed_ = false;
    if (event.sequence != last_sequence_ + 1)
        return broken(fmt::format("it sent event {} after event {}", event.sequence, last_sequence_));
    const bool chatter = event.kind != protocol::EventKind::state;
    if (bytes > (chatter ? protocol::kMaxEventBytes : protocol::kMaxStateEventBytes) + 1024)
        return broken(fmt::format("it sent an event of {} bytes", bytes));
    if (chatter) {
        chatter_bytes_ += bytes;
        if (chatter_bytes_ > spec_.quota.bytes) {
            event.body = Json::object({{"kind", std::string(protocol::name(event.kind))}, {"lost", 1}});
            event.kind = protocol::EventKind::gap;
        }
    }
    if (event.kind == protocol::EventKind::metric && !protocol::admits_metric(spec_.grants.publish_metrics, event.body["name"].as_string()))
        return broken("it publishes a metric that it may not");
    // One that waits for people says nothing new but lines of its log.
    if (event.kind != protocol::EventKind::log && event.body["state"].as_string() != protocol::name(JobState::waiting)) go_on();
    mask_event(event, redactor_);
    if (event.body["tell"].as_bool()) ports_.ledger.told(spec_.id, event);
    record(std::move(event));
}

void JobRun::record(Event event)
{
    last_sequence_ = event.sequence;
    if (const auto state = final_state(event)) {
        if (stop_ && *state != JobState::successful) {
            Json evidence = event.body["evidence"].is_object() ? event.body["evidence"] : Json::object();
            evidence.set("stop", stop_words(*stop_, ports_.clock.steady(), end_.has_value()));
            event.body.set("evidence", std::move(evidence));
        }
        final_sequence_ = event.sequence;
        (void)forget_kept();
        if (phase_ != Phase::over) phase_ = Phase::leaving;
        kill_at_ = ports_.clock.steady() + kLeaveWait;
    }
    stuck_.push_back(std::move(event));
    write_stuck();
}

void JobRun::write_stuck()
{
    while (!stuck_.empty()) {
        if (auto done = ports_.ledger.event(spec_.id, stuck_.front()); !done) {
            log::error("job", "{}: its report waits for the disk: {}", key_, done.error().what);
            retry_at_ = ports_.clock.steady() + kDiskWait;
            return;
        }
        stuck_.pop_front();
    }
}

/// Nothing was begun: a runner that waited, and was killed or died as it was taken, costs no job. Once.
bool JobRun::start_again(const RunnerEnd& end)
{
    if (!beginning() || cause_ || killed_ || std::exchange(started_again_, true)) return false;
    log::warning("job", "{}: its runner ended before it began (signal {}, exit code {}): another is started", key_, end.signal, end.exit);
    (void)ports_.keeper.forget(key_);
    job_ = platform::Channel();
    ready_ = false;
    phase_ = Phase::starting;
    start();
    return true;
}

void JobRun::on_end(const RunnerEnd& end)
{
    if (start_again(end)) return;
    end_ = end;
    // What it said before it ended is still in its channel.
    for (int i = 0; i < 100'000 && channel() != nullptr && !final_recorded(); ++i) {
        auto more = platform::wait_any({&job_}, std::chrono::milliseconds(0));
        if (!more || !*more) break;
        on_readable();
    }
    conclude();
}

void JobRun::conclude()
{
    if (!end_) return;
    if (!final_recorded()) {
        const Cause cause = cause_of(*end_, cause_, spec_);
        log::info("job", "{}: {} ({}): {}", key_, protocol::name(cause.state), protocol::name(cause.reason), cause.why);
        Event last = protocol::state_event(last_sequence_ + 1, ports_.clock.now(), cause.state, cause.reason, ending_words(cause, begun_ ? &*end_ : nullptr));
        mask_event(last, redactor_);   // it may quote what the runner said
        record(std::move(last));
    }
    leave_if_over();
}

void JobRun::leave_if_over()
{
    if (phase_ == Phase::over || !end_ || !final_recorded() || !synced_final_ || !stuck_.empty()) return;
    (void)ports_.keeper.forget(key_);
    ports_.to_broker(Json::object({{"close", Json::object({{"key", key_}})}}));
    job_ = platform::Channel();
    phase_ = Phase::over;
}

void JobRun::broken(const std::string& why)
{
    stop_now(Cause{JobState::failed, Reason::internal, "the runner broke its contract: " + why, Json()});
}

void JobRun::cancel(Cause cause)
{
    if (final_recorded() || phase_ == Phase::over) return;
    if (!cause_) cause_ = cause;
    if (!stop_) {
        stop_ = Stop{ports_.clock.now(), ports_.clock.steady(), beginning() ? Milliseconds(0) : Milliseconds(kCancelWait), {}};
        log::info("job", "{}: asked to stop: {}", key_, cause.why);
    }
    if (beginning()) return stop_now(std::move(cause));
    if (phase_ == Phase::committing) return;  // said behind `begin`
    if (!kill_at_) kill_at_ = ports_.clock.steady() + kCancelWait;
    send(Json::object({{"cancel", Json::object({{"by", cause.evidence["by"]}, {"why", cause.why}})}}));
}

void JobRun::stop_now(Cause cause)
{
    if (phase_ == Phase::over) return;
    if (!cause_ && !final_recorded()) cause_ = std::move(cause);
    if (killed_) return;
    killed_ = true;
    kill_at_.reset();
    if (stop_) {
        stop_->killed = ports_.clock.steady();
        if (begun_) log::warning("job", "{}: it did not end within {} of being asked, and is killed", key_, format_duration(stop_->grace));
    }
    (void)ports_.keeper.kill(key_);
}

}  // namespace mill::agent
