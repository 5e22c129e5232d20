#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"

namespace mill::factory {
namespace core {

using protocol::JobState;

CoreImpl::CoreImpl(CoreOptions options, Clock& clock, std::unique_ptr<Store> store)
    : options_(std::move(options)), clock_(clock), store_(std::move(store)), writer_(store_->writer()), wakeups_(make_local_wakeups()),
      queue_(writer_, *this)
{
}

CoreImpl::~CoreImpl()
{
    timer_ = {};
    queue_.stop();
    const Error stopping{Errc::unavailable, "the factory is stopping"};
    for (auto& [key, agent] : agents_) end_poll(agent, stopping);
    for (auto& [uid, waiters] : waiters_)
        for (Waiter& waiter : waiters) waiter.done(fail(stopping));
}

Status CoreImpl::start()
{
    if (const auto id = writer_.read().setting("factory_id"); id) {
        factory_id_ = *id;
        const auto epoch = writer_.read().setting("epoch");
        if (!epoch) return fail(epoch.error());
        epoch_ = std::strtoull(epoch->c_str(), nullptr, 10);
    } else {
        if (id.error().code != Errc::not_found) return fail(id.error());
        factory_id_ = new_uid();
        if (auto ok = writer_.begin(); !ok) return ok;
        if (auto ok = writer_.put_setting("factory_id", factory_id_); !ok) return ok;
        if (auto ok = writer_.put_setting("epoch", std::to_string(epoch_)); !ok) return ok;
        if (auto ok = writer_.commit(); !ok) return ok;
    }
    if (auto ok = load(); !ok) return ok;
    retaining_.next = clock_.steady() + std::min<Milliseconds>(options_.retention.every, std::chrono::minutes(1));
    queue_.start();
    if (options_.timer_thread) timer_ = std::jthread([this](std::stop_token stop) { timer_loop(stop); });
    return {};
}

/// Everything in memory anew from the store. Every attempt gets a full lease: it stood still while nobody was here.
Status CoreImpl::load()
{
    board_ = {};
    agents_.clear();
    agent_ids_.clear();
    active_.clear();
    active_uids_.clear();
    bindings_.clear();
    schedules_.clear();
    stirred_.clear();
    receivers_.clear();
    probing_.clear();
    loaded_ = clock_.now();
    watches_stale_ = true;
    auto receivers = writer_.read().notifier_states();
    if (!receivers) return fail(receivers.error());
    for (NotifierState& state : *receivers) receivers_.insert_or_assign(state.notifier, state);
    {
        const std::scoped_lock lock(tokens_mutex_);
        tokens_.clear();
    }
    const auto last = writer_.read().last_feed_sequence();
    if (!last) return fail(last.error());
    last_feed_ = told_feed_ = *last;

    const auto environments = writer_.read().documents("Environment");
    if (!environments) return fail(environments.error());
    for (const Document& document : *environments) board_.put_environment(dispatch::read_environment(document.name, document.spec));
    documents_changed();

    if (auto ok = load_trials(); !ok) return ok;
    if (auto ok = load_hold(); !ok) return ok;
    auto agents = writer_.load_agents();
    if (!agents) return fail(agents.error());
    for (auto& kept : *agents) {
        Agent& agent = agents_[kept.key];
        agent.key = kept.key;
        agent.record = std::move(kept.agent);
        agent.mode_set = kept.mode_set;
        agent.record.offline_since = agent.record.last_seen;
        agent_ids_[agent.record.id] = kept.key;
        if (kept.reported < hold_.epoch) awaited_.insert(kept.key);
        board_.put_agent(kept.key, agent.record);
    }
    last_news_ = std::max(last_news_, static_cast<std::uint64_t>(clock_.now().microseconds));
    news_for_people();
    show_hold();
    if (auto ok = load_refusals(); !ok) return ok;
    if (auto ok = load_questions(); !ok) return ok;
    if (auto ok = count_turns(); !ok) return ok;
    const auto ready = writer_.ready_counts();
    if (!ready) return fail(ready.error());
    for (const auto& [key, count] : *ready) {
        if (const auto binding = known_binding(key); !binding) return fail(binding.error());
        board_.put_waiting(key, count);
        if (trials_.empty() || !bindings_.at(key)->binding.rules.contains("group")) continue;
        const auto tried = writer_.first_ready(key, std::numeric_limits<std::int64_t>::max());
        if (!tried) return fail(tried.error());
        for (const auto& [job, turn] : *tried) tried_by(bindings_.at(key)->binding, job);
    }
    for (const auto& [job, questions] : asking_) {   // ready, and on no board
        if (!awaits_approval(job)) continue;
        const auto row = writer_.waiting_job(job);
        if (!row) return fail(row.error());
        const auto binding = known_binding(row->binding);
        if (!binding) return fail(binding.error());
        tried_by((*binding)->binding, job);
    }
    auto active = writer_.load_active();
    if (!active) return fail(active.error());
    for (ActiveAttempt& kept : *active) {
        const auto binding = known_binding(kept.binding);
        if (!binding) return fail(binding.error());
        Active one;
        one.job = kept.job;
        one.uid = kept.uid;
        one.binding = *binding;
        one.priority = kept.priority;
        one.state = kept.state;
        one.attempt = kept.attempt;
        one.epoch = kept.epoch;
        one.doubtful = kept.epoch < epoch_;
        one.agent = kept.agent;
        one.progress = {kept.acknowledged, kept.bytes, kept.lost_steps, kept.lost_logs};
        one.cancel = std::move(kept.cancel);
        one.named = kept.state != JobState::assigned || kept.acknowledged > 0;
        one.reloaded = true;
        one.token_record = std::move(kept.token);
        one.renewed = clock_.steady();
        one.heard = clock_.now();
        one.created = kept.created;
        one.assigned = kept.assigned;
        one.started = kept.started;
        board_.occupy(kept.binding, kept.job);
        tried_by((*binding)->binding, kept.job);
        if (const auto agent = agents_.find(kept.agent); agent != agents_.end()) agent->second.holds.insert(kept.job);
        active_uids_[one.uid] = one.job;
        const JobKey key = one.job;
        if (const auto agent = agents_.find(kept.agent); one.state == JobState::assigned && agent != agents_.end() && asks_first(agent->second, **binding))
            if (auto rows = writer_.read().timeline(one.uid); rows)
                for (const TimelineRow& row : *rows)
                    if (row.what == "consent_asked" && row.attempt == one.attempt)
                        if (const auto until = parse_time(row.detail["until"].as_string()); until) one.asking = *until;
        restore_tokens(active_.insert_or_assign(key, std::move(one)).first->second);
    }
    return load_answered();
}

void CoreImpl::lost(const Error& error)
{
    for (auto& [key, agent] : agents_) end_poll(agent, Error{Errc::unavailable, error.what});
    ended_.clear();
    fresh_.reset();
    doomed_files_.clear();
    retaining_.step.reset();
    retaining_.runs = false;   // the next one begins anew
    if (auto ok = load(); !ok) {
        // Nothing true can be said any more; a supervisor starts us again when the disk is back.
        log::error("core", "the store cannot be read after a failed commit: {}", ok.error().what);
        check(false, "the store cannot be read after a failed commit");
    }
}

void CoreImpl::committed()
{
    const SteadyTime now = clock_.steady();
    if (retaining_.step) retention_committed(now);
    if (!doomed_files_.empty()) remove_doomed();
    for (const AgentKey key : std::exchange(stirred_, {})) {
        const auto found = agents_.find(key);
        if (found != agents_.end() && found->second.parked) answer_poll(found->second, now >= found->second.parked->until);
    }
    for (const std::string& uid : std::exchange(ended_, {})) {
        const auto found = waiters_.find(uid);
        if (found == waiters_.end()) continue;
        const auto waiters = std::move(found->second);
        waiters_.erase(found);
        const auto job = writer_.read().job(uid);
        for (const Waiter& waiter : waiters) waiter.done(job);
    }
    if (std::exchange(ticked_, false)) tick_waiters(now);
    if (last_feed_ != told_feed_) {
        told_feed_ = last_feed_;
        wakeups_->publish(Wakeups::Topic::feed, told_feed_);
    }
    if (std::exchange(deliveries_made_, false)) wakeups_->publish(Wakeups::Topic::deliveries, 0);
}

Core::ReaderLease CoreImpl::reader()
{
    std::unique_ptr<Reader> one;
    std::unique_lock lock(readers_mutex_);
    while (!one) {
        if (!readers_.empty()) {
            one = std::move(readers_.back());
            readers_.pop_back();
            break;
        }
        lock.unlock();
        auto opened = store_->open_reader();
        lock.lock();
        if (opened) {
            one = std::move(*opened);
            break;
        }
        // No descriptor or memory left just now: one that is lent will come back.
        check(readers_lent_ > 0, opened.error().what);
        log::warning("core", "no further reader of the store: {}", opened.error().what);
        reader_back_.wait(lock, [this] { return !readers_.empty(); });
    }
    ++readers_lent_;
    return ReaderLease(one.release(), [this](Reader* reader) {
        std::unique_ptr<Reader> back(reader);
        {
            const std::scoped_lock guard(readers_mutex_);
            --readers_lent_;
            if (readers_.size() < kReadersKept) readers_.push_back(std::move(back));
        }
        reader_back_.notify_one();
    });
}

void CoreImpl::flush()
{
    // Twice: the second answer comes after what follows the first one's commit (polls, wake-ups).
    for (int round = 0; round < 2; ++round)
        (void)await<Nothing>([&](Done<Nothing> done) { queue_.submit<Nothing>(std::move(done), [] { return Nothing{}; }); });
}

void CoreImpl::put_setting(std::string key, std::string value, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [this, key = std::move(key), value = std::move(value)]() -> Result<Nothing> {
        if (auto ok = writer_.put_setting(key, value); !ok) return fail(ok.error());
        return Nothing{};
    });
}

Status CoreImpl::audit(const Who& who, std::string_view action, std::string_view kind, std::string_view subject, Json detail)
{
    return writer_.audit({.id = 0, .time = clock_.now(), .who = who.name, .remote = who.remote, .action = std::string(action),
                          .kind = std::string(kind), .subject = std::string(subject), .detail = std::move(detail)});
}

Status CoreImpl::feed(const NewFeed& row)
{
    const auto sequence = writer_.append_feed(row);
    if (!sequence) return fail(sequence.error());
    last_feed_ = *sequence;
    return {};
}

Status CoreImpl::job_line(JobKey job, std::string_view what, WallTime time, std::uint32_t attempt, std::string_view agent, std::string_view reason,
                          Json detail)
{
    return feed({.time = time, .kind = "job", .job = job, .subject = {}, .what = what, .attempt = attempt, .agent = agent, .reason = reason,
                 .detail = std::move(detail)});
}

}  // namespace core

Result<std::unique_ptr<Core>> start_core(CoreOptions options, Clock& clock)
{
    auto store = open_store(options.folder);
    if (!store) return fail(store.error());
    auto core = std::make_unique<core::CoreImpl>(std::move(options), clock, std::move(*store));
    if (auto ok = core->start(); !ok) return fail(ok.error());
    return core;
}

}  // namespace mill::factory
