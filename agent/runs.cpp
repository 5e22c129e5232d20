#include "agent/runs.h"

#include <algorithm>

#include <fmt/format.h>

#include "agent/job_words.h"
#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/channel_room.h"

namespace mill::agent {
namespace {

using protocol::JobState;
using protocol::Reason;

constexpr int kMessagesATurn = 256;  // then one sync for all of them
constexpr Milliseconds kTurnMost{50};           // …or as soon as somebody's time is over
constexpr std::chrono::seconds kTurn{60};      // it is spoken to every ten
constexpr std::chrono::minutes kSlowDisk{10};  // to start the agent again mends no disk, and would end the renewals, too

}  // namespace

Runs::Runs(KeeperClient keeper, Ledger& ledger, const Clock& clock, std::size_t warm, Sealer sealer)
    : keeper_(std::move(keeper)), ledger_(ledger), clock_(clock), demand_(clock, warm), commands_(65536), sealer_(std::move(sealer))
{
    auto bell = platform::Channel::pair();
    check(bell.has_value(), "no channel for the bell");
    bell_in_ = std::move(bell->first);
    bell_out_ = std::move(bell->second);
}

void Runs::post(Command command)
{
    commands_.send(std::move(command));
    if (!rung_.exchange(true)) (void)bell_in_.send("!");
}

bool Runs::try_post(Command command)
{
    const bool taken = commands_.try_send(std::move(command));
    if (taken && !rung_.exchange(true)) (void)bell_in_.send("!");
    return taken;
}

JobRun* Runs::find(const std::string& key)
{
    const auto found = runs_.find(key);
    return found == runs_.end() ? nullptr : found->second.get();
}

JobRun& Runs::add(RunSpec spec)
{
    std::string key = spec.id.key();
    JobRun::Ports ports{keeper_, ledger_, clock_, [this](const Json& message) { to_broker(message); },
                        [this]() -> const std::string& {
                            if (!broker_.valid()) need_broker();
                            return broker_key_;
                        },
                        [this](SealRequest request) { return sealer_ && sealer_(std::move(request)); },
                        [this](ReadRequest request) { return reader_ && reader_(std::move(request)); }};
    auto run = std::make_unique<JobRun>(std::move(spec), std::move(ports));
    return *(runs_[std::move(key)] = std::move(run));
}

Status Runs::recover(std::vector<Remembered> remembered, Milliseconds wait)
{
    struct Found {
        platform::Channel channel;
        std::optional<RunnerEnd> end;
    };
    std::map<std::string, Found> found;
    if (auto sent = keeper_.isolation(); !sent) return sent;
    if (auto sent = keeper_.credentials(); !sent) return sent;
    if (auto sent = keeper_.list(); !sent) return sent;
    const SteadyTime limit = clock_.steady() + wait;
    for (bool listed = false; !listed;) {
        if (clock_.steady() > limit) return fail(Errc::timeout, "the keeper does not say what it holds");
        auto message = keeper_.receive(wait);
        if (!message) return fail(std::move(message.error()));
        if (!*message) continue;
        KeeperMessage& said = **message;
        if (said.kind == KeeperMessage::Kind::held) found[said.key].channel = std::move(said.channel);
        else if (said.kind == KeeperMessage::Kind::ended) found[said.key].end = said.end;
        else if (said.kind == KeeperMessage::Kind::broker) broker_ = std::move(said.channel);
        else if (said.kind == KeeperMessage::Kind::isolation) isolation_ = said.isolation;
        else if (said.kind == KeeperMessage::Kind::credentials) credentials_ = std::move(said.names);
        else if (said.kind == KeeperMessage::Kind::before) log::warning("agent", "started again; the process before this one ended: {}", said.why);
        else if (said.kind == KeeperMessage::Kind::listed) listed = true;
    }
    for (Remembered& item : remembered) {
        const protocol::AttemptId id = item.spec.id;
        const auto there = found.find(id.key());
        if (item.started && there != found.end()) {
            log::info("job", "{}: taken over from before", id.key());
            JobRun& run = add(std::move(item.spec));
            if (item.lease_end) run.set_lease(*item.lease_end);
            run.adopt(std::move(there->second.channel), item.started_at, item.last_sequence, item.ended);
            if (there->second.end) run.on_end(*there->second.end);
            found.erase(there);
        } else if (item.ended) {
            ledger_.released(id);
        } else if (item.started && !item.spec.snapshot.is_null()) {
            log::info("job", "{}: it waited for a person when this machine went down, and goes on", id.key());
            taken_[id].last_sequence = item.last_sequence;
        } else if (item.started) {
            const protocol::Event event =
                protocol::state_event(item.last_sequence + 1, clock_.now(), JobState::failed, Reason::outcome_unknown,
                                      Json::object({{"evidence", Json::object({{"why", "the agent started again and its runner is gone"}})}}));
            log::warning("job", "{}: started before, and its runner is gone: outcome unknown", id.key());
            if (auto done = ledger_.event(id, event); !done) return done;
            ledger_.released(id);
        } else {
            ledger_.not_held(id, "the agent started again before it began");
            ledger_.released(id);
        }
    }
    for (const auto& [key, item] : found) {  // begun by nobody
        (void)(item.end ? keeper_.forget(key) : keeper_.kill(key));  // forgotten at its end
    }
    finish_turn();
    return {};
}

void Runs::say_ready(std::string text)
{
    post(command::Work{[this, text = std::move(text)] { (void)keeper_.ready(text); }});
}

void Runs::seal_key(std::string id, std::string key)
{
    post(command::Work{[this, id = std::move(id), key = std::move(key)] { (void)keeper_.seal(id, key); }});
}

void Runs::say_alive() { post(command::Work{[this] { (void)keeper_.alive(); }}); }
void Runs::say_renew() { post(command::Work{[this] { (void)keeper_.renew(); }}); }

Status Runs::run(std::stop_token stop)
{
    while (!stop.stop_requested() && !(stopping_ && runs_.empty() && taken_.empty())) {
        if (vital_ != nullptr) vital_->within(kTurn);
        if (auto done = turn(stop); !done) {
            if (done.error().code == Errc::cancelled) break;
            return done;
        }
        if (vital_ != nullptr && !sync_failed_) vital_->good();
        if (vital_ != nullptr && sync_failed_) vital_->bad("the journal cannot be written");
    }
    if (vital_ != nullptr) vital_->idle();
    return {};
}

std::optional<Milliseconds> Runs::wait_time() const
{
    std::optional<SteadyTime> next;
    for (const auto& [key, run] : runs_)
        if (const auto time = run->next_tick(); time && (!next || *time < *next)) next = time;
    if (const auto time = demand_.next(); !stopping_ && time && (!next || *time < *next)) next = time;
    if (sync_failed_) {
        const SteadyTime soon = clock_.steady() + std::chrono::seconds(1);
        if (!next || soon < *next) next = soon;
    }
    if (!next) return std::nullopt;
    const Microseconds left = *next - clock_.steady();
    return std::max(Milliseconds(0), std::chrono::ceil<Milliseconds>(left));
}

/// Waits once, takes what is there (up to a bound), writes it to the disk once, then answers.
Status Runs::turn(std::stop_token stop)
{
    std::optional<Milliseconds> wait = wait_time();
    std::optional<SteadyTime> end;
    for (int i = 0; i < kMessagesATurn; ++i) {
        std::vector<const platform::Channel*> channels{&bell_out_, &keeper_.channel(), broker_.valid() ? &broker_ : nullptr};
        std::vector<JobRun*> order;
        for (const auto& [key, run] : runs_) order.push_back(run.get());
        if (!order.empty()) std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(first_++ % order.size()), order.end());
        std::vector<const platform::Channel*> room;
        for (JobRun* run : order) {
            channels.push_back(run->channel());
            room.push_back(run->unsent());
        }
        auto ready = platform::wait_any(channels, room, wait, stop);
        if (!ready) return fail(std::move(ready.error()));
        if (!*ready) break;
        if (!end) end = clock_.steady() + std::clamp(wait_time().value_or(kTurnMost), Milliseconds(0), kTurnMost);
        wait = Milliseconds(0);  // the first wait was the long one
        switch (**ready) {
        case 0: {
            (void)bell_out_.receive(Milliseconds(0));
            rung_ = false;
            for (Command& command : commands_.drain()) on_command(std::move(command));
            break;
        }
        case 1: {
            auto message = keeper_.receive(Milliseconds(0));
            if (!message) return fail(std::move(message.error()));
            if (*message)
                if (auto done = on_keeper(std::move(**message)); !done) return done;
            break;
        }
        case 2: on_broker_readable(); break;
        default:
            if (**ready < channels.size()) order[**ready - 3]->on_readable();
            else order[**ready - channels.size()]->on_room();
        }
        if (clock_.steady() >= *end) break;
    }
    const SteadyTime now = clock_.steady();
    for (const auto& [key, run] : runs_) run->tick(now);
    finish_turn();
    if (!stopping_)  // behind the answers: what is held ready can wait
        for (const auto& [request, count] : demand_.changes()) (void)keeper_.warm(request, count);
    return {};
}

void Runs::finish_turn()
{
    if (vital_ != nullptr) vital_->within(kSlowDisk);
    if (auto synced = ledger_.sync(); !synced) {
        if (!sync_failed_) log::error("journal", "{}", synced.error().what);
        sync_failed_ = true;
        return;
    }
    sync_failed_ = false;
    for (auto at = runs_.begin(); at != runs_.end();) {
        at->second->after_sync();
        if (at->second->phase() == JobRun::Phase::over) {
            ledger_.released(at->second->spec().id);
            at = runs_.erase(at);
        } else {
            ++at;
        }
    }
    if (again_ && runs_.empty() && taken_.empty()) {
        again_ = false;
        if (asked_) asked_(Asked::again);
    }
}

Status Runs::on_keeper(KeeperMessage message)
{
    using Kind = KeeperMessage::Kind;
    if (message.kind == Kind::broker) {
        broker_ = std::move(message.channel);
        broker_asked_ = false;
        broker_key_.clear();  // a new one has a new key, and says it first
        for (const auto& [key, run] : runs_) run->on_broker();
        return {};
    }
    if (message.kind == Kind::reload || message.kind == Kind::again) {
        if (message.kind == Kind::again) again_ = true;   // as soon as nothing runs: it asks once
        else if (asked_) asked_(Asked::reload);
        return {};
    }
    if (message.kind == Kind::sealed) {
        if (sealed_) sealed_(message.key, message.why);
        return {};
    }
    JobRun* run = find(message.key);
    if (run == nullptr) {
        // One that nobody waits for any more, such as a start that was given back.
        if (message.kind == Kind::started || message.kind == Kind::held) (void)keeper_.kill(message.key);
        if (message.kind == Kind::ended) (void)keeper_.forget(message.key);
        return {};
    }
    if (message.kind == Kind::started) run->on_started(std::move(message.channel), std::move(message.nonce), message.notes);
    else if (message.kind == Kind::refused) run->on_refused(message.code, message.why);
    else if (message.kind == Kind::ended) run->on_end(message.end);
    return {};
}

void Runs::on_command(Command command)
{
    std::visit(
        [&](auto& said) {
            using T = std::decay_t<decltype(said)>;
            if constexpr (std::is_same_v<T, command::Take>) {
                if (taken_.contains(said.id) || find(said.id.key()) != nullptr) return;
                taken_.emplace(said.id, Taken{});
                if (auto done = ledger_.taken(said.id, said.offer); !done) return give_back(said.id, done.error().what);
                if (stopping_) give_back(said.id, "the agent is stopping");
            } else if constexpr (std::is_same_v<T, command::Start>) {
                start(std::move(said));
            } else if constexpr (std::is_same_v<T, command::End>) {
                const auto cancelled = taken_.find(said.id);
                if (cancelled != taken_.end()) end_unstarted(said.id, cancelled->second.cancelled.value_or(said.cause));
            } else if constexpr (std::is_same_v<T, command::GiveBack>) {
                if (taken_.contains(said.id)) give_back(said.id, said.why);
            } else if constexpr (std::is_same_v<T, command::Cancel>) {
                Cause cause{JobState::cancelled, Reason::cancelled_by, said.why, Json::object({{"by", said.by}})};
                if (JobRun* run = find(said.id.key()); run != nullptr) run->cancel(std::move(cause));
                else if (const auto taken = taken_.find(said.id); taken != taken_.end()) taken->second.cancelled = std::move(cause);
            } else if constexpr (std::is_same_v<T, command::Drop>) {
                if (JobRun* run = find(said.id.key()); run != nullptr && run->phase() == JobRun::Phase::leaving) return;
                if (JobRun* run = find(said.id.key()); run != nullptr)
                    run->stop_now({JobState::failed, Reason::agent_lost, said.why, Json::object({{"standing", "stale"}})});
                else if (taken_.contains(said.id)) give_back(said.id, said.why);
            } else if constexpr (std::is_same_v<T, command::Say>) {
                if (JobRun* run = find(said.id.key()); run != nullptr && run->spec().step) run->say(said.message);
            } else if constexpr (std::is_same_v<T, command::Answered>) {
                if (JobRun* run = find(said.id.key()); run != nullptr) run->on_answered(said.answered);
                else if (!taken_.contains(said.id)) ledger_.heard(said.id, said.answered["question"].as_string());
            } else if constexpr (std::is_same_v<T, command::Sealed>) {
                if (JobRun* run = find(said.id.key()); run != nullptr) run->on_sealed(said.broker_key, std::move(said.box));
            } else if constexpr (std::is_same_v<T, command::Read>) {
                if (JobRun* run = find(said.id.key()); run != nullptr) run->on_read(said.number, said.answer);
            } else if constexpr (std::is_same_v<T, command::Lease>) {
                if (JobRun* run = find(said.id.key()); run != nullptr) run->set_lease(said.end);
            } else if constexpr (std::is_same_v<T, command::Flush>) {
                demand_.forget();
            } else if constexpr (std::is_same_v<T, command::StopAll>) {
                stop_all(said);
            } else {
                said.work();
            }
        },
        command);
}

void Runs::start(command::Start said)
{
    const protocol::AttemptId id = said.spec.id;
    const auto taken = taken_.find(id);
    if (taken == taken_.end()) return;  // given back meanwhile
    if (taken->second.cancelled) return end_unstarted(id, *taken->second.cancelled);
    taken_.erase(taken);
    JobRun& run = add(std::move(said.spec));
    if (said.lease_end) run.set_lease(*said.lease_end);
    run.start();
    demand_.started(keeper::encode(sandbox_request(run.spec())));
}

void Runs::end_unstarted(const protocol::AttemptId& id, const Cause& cause)
{
    const auto taken = taken_.find(id);
    const std::uint64_t last = taken == taken_.end() ? 0 : taken->second.last_sequence;
    const protocol::Event event = protocol::state_event(last + 1, clock_.now(), cause.state, cause.reason, ending_words(cause, nullptr));
    if (auto done = ledger_.event(id, event); !done && last == 0) return give_back(id, done.error().what);
    else if (!done) log::error("job", "{}: its end waits for the next start of this agent: {}", id.key(), done.error().what);
    if (last > 0) (void)ledger_.keep(id, 0, Json());
    log::info("job", "{}: {} ({}): {}", id.key(), protocol::name(cause.state), protocol::name(cause.reason), cause.why);
    taken_.erase(id);
    ledger_.released(id);
}

void Runs::give_back(const protocol::AttemptId& id, const std::string& why)
{
    if (const auto found = taken_.find(id); found != taken_.end() && found->second.last_sequence > 0) {
        if (!stopping_) return end_unstarted(id, {JobState::failed, Reason::outcome_unknown, "this machine was started again while the job waited, and it cannot go on: " + why, Json()});
        taken_.erase(found);  // the next start finds it as it was
        return ledger_.released(id);
    }
    taken_.erase(id);
    ledger_.not_held(id, why);
    ledger_.released(id);
}

void Runs::stop_all(const command::StopAll& said)
{
    stopping_ = true;
    while (!taken_.empty()) give_back(taken_.begin()->first, said.why);
    for (const auto& [key, run] : runs_)
        run->stop_with_agent({JobState::cancelled, Reason::cancelled_by, said.why, Json::object({{"by", "agent"}})}, said.cancel);
}

}  // namespace mill::agent
