#include "agent/broker/attempt.h"

#include <algorithm>

#include <fmt/core.h>

#include "platform/base/log.h"

namespace mill::broker {
namespace {

constexpr int kMaxNoted = 20;
constexpr Milliseconds kSendLimit{30'000};  // a runner that does not read for so long gets no more answers

}  // namespace

Attempt::~Attempt()
{
    detach();
    if (reader_.joinable()) reader_.join();  // before its workers: it makes them
}

void Attempt::attach(platform::Channel channel, bool to_new_broker)
{
    if (attached()) {
        log::warning("broker", "attempt {}: a second effect channel is not taken", key_);
        return;
    }
    channel_ = std::move(channel);
    if (to_new_broker) say(reset_text());
    reader_ = std::jthread([this] { read(over_.get_token()); });
}

void Attempt::open(std::shared_ptr<const Grants> grants)
{
    {
        const std::scoped_lock lock(mutex_);
        grants_ = std::move(grants);
    }
    changed_.notify_all();
}

void Attempt::close()
{
    end_all();
    const std::scoped_lock lock(mutex_);
    grants_.reset();
}

void Attempt::detach()
{
    over_.request_stop();
    end_all();
}

std::shared_ptr<const Grants> Attempt::grants() const
{
    const std::scoped_lock lock(mutex_);
    return grants_;
}

void Attempt::read(const std::stop_token& stop)
{
    while (!stop.stop_requested()) {
        auto got = channel_.receive(next_expiry(), stop);
        expire();
        if (!got) {
            if (got.error().code != Errc::cancelled && got.error().code != Errc::unavailable)
                log::warning("broker", "attempt {}: {}", key_, got.error().what);
            break;
        }
        if (*got) accept((*got)->text);
        if (violations_ >= kMaxViolations) {
            log::warning("broker", "attempt {}: too many malformed messages, its channel is closed", key_);
            break;
        }
    }
    end_all();
}

void Attempt::accept(std::string_view text)
{
    auto incoming = parse_incoming(text);
    if (!incoming) {
        ++violations_;
        say(error_text(0, effect_error(incoming.error(), "Malformed message")));
        return;
    }
    if (incoming->cancel) cancel(*incoming->cancel);
    else start(std::move(*incoming->call), text.size());
}

void Attempt::start(EffectCall call, std::size_t bytes)
{
    std::unique_lock lock(mutex_);
    const std::uint64_t id = call.id;
    std::string problem;
    if (open_.contains(id)) problem = fmt::format("the call {} is open already", id);
    else if (open_.size() >= kMaxOpenCalls || queue_.size() >= kMaxOpenCalls) problem = fmt::format("more than {} calls are open", kMaxOpenCalls);
    else if (open_bytes_ + bytes > kMaxOpenBytes) problem = fmt::format("the open calls have more than {} bytes", kMaxOpenBytes);
    if (!problem.empty()) {
        lock.unlock();
        say(error_text(id, {"runtime", 429, "Too many effects at once", problem}));
        return;
    }
    const SteadyTime deadline = system_clock().steady() + call.timeout;
    Open& open = open_[id];
    open.deadline = deadline;
    open.bytes = bytes;
    open_bytes_ += bytes;
    queue_.push_back({std::move(call), deadline, open.stop.get_token()});
    const bool more = idle_ < queue_.size() && workers_.size() < kMaxWorkers;
    lock.unlock();
    changed_.notify_all();
    if (more) workers_.emplace_back([this] { work(over_.get_token()); });
}

void Attempt::cancel(std::uint64_t id)
{
    std::stop_source stopping;
    {
        const std::scoped_lock lock(mutex_);
        const auto found = open_.find(id);
        if (found == open_.end()) return;
        stopping = found->second.stop;
        open_bytes_ -= found->second.bytes;
        open_.erase(found);
    }
    stopping.request_stop();  // what it calls must not meet our lock
}

void Attempt::expire()
{
    std::vector<std::uint64_t> expired;
    const SteadyTime now = system_clock().steady();
    {
        const std::scoped_lock lock(mutex_);
        for (auto& [id, open] : open_)
            if (open.deadline <= now) expired.push_back(id);
    }
    for (const std::uint64_t id : expired) {
        cancel(id);
        say(error_text(id, {"timeout", 408, "No answer in time", "the effect did not end before its deadline; whether it happened is not known"}));
    }
}

void Attempt::end_all()
{
    std::map<std::uint64_t, Open> ended;
    {
        const std::scoped_lock lock(mutex_);
        ended.swap(open_);
        queue_.clear();
        open_bytes_ = 0;
    }
    for (auto& [id, open] : ended) open.stop.request_stop();
}

std::optional<Milliseconds> Attempt::next_expiry() const
{
    const std::scoped_lock lock(mutex_);
    if (open_.empty()) return std::nullopt;
    const auto first = std::min_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) { return a.second.deadline < b.second.deadline; });
    const auto left = std::chrono::ceil<Milliseconds>(first->second.deadline - system_clock().steady());
    return std::max(left, Milliseconds(0));
}

bool Attempt::take(std::uint64_t id, const std::stop_token& stop)
{
    const std::scoped_lock lock(mutex_);
    const auto found = open_.find(id);
    // The same id may be in use again after a cancel: the token tells them apart.
    if (found == open_.end() || found->second.stop.get_token() != stop) return false;
    open_bytes_ -= found->second.bytes;
    open_.erase(found);
    return true;
}

std::shared_ptr<const Grants> Attempt::wait_for_grants(const std::stop_token& stop)
{
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [&] { return grants_ != nullptr; });
    return grants_;
}

void Attempt::work(const std::stop_token& stop)
{
    while (true) {
        std::unique_lock lock(mutex_);
        ++idle_;
        changed_.wait(lock, stop, [&] { return !queue_.empty(); });
        --idle_;
        if (stop.stop_requested()) return;
        const Work item = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        if (item.stop.stop_requested()) continue;
        const auto grants = wait_for_grants(item.stop);
        if (!grants || item.stop.stop_requested()) continue;
        EffectContext context{*grants, clients_, item.deadline, item.stop};
        const Outcome<Json> outcome = perform(item.call, context);
        if (!outcome) note_refusal(item.call.effect, outcome.error());
        std::string text = outcome ? result_text(item.call.id, *outcome, context.masked) : error_text(item.call.id, outcome.error(), context.masked);
        if (context.masked > 0) log::debug("broker", "attempt {}: {} secrets masked in what {} gave", key_, context.masked, item.call.effect);
        if (text.size() > platform::Channel::kMaxMessage)
            text = error_text(item.call.id, {"runtime", 413, "Result too large", fmt::format("the result of {} has {} bytes", item.call.effect, text.size())});
        if (take(item.call.id, item.stop)) say(text);
    }
}

void Attempt::note_refusal(const std::string& effect, const EffectError& error)
{
    if (error.status != 401 && error.status != 403) return;
    const int count = ++refusals_;
    if (count <= kMaxNoted) log::debug("broker", "attempt {}: {} refused: {}", key_, effect, error.detail.substr(0, 500));
    if (count == kMaxNoted) log::debug("broker", "attempt {}: further refusals are not logged", key_);
}

void Attempt::say(const std::string& text)
{
    const std::scoped_lock lock(sending_);
    if (auto ok = channel_.send(text, nullptr, over_.get_token(), kSendLimit); !ok && !over_.stop_requested()) {
        log::debug("broker", "attempt {}: its runner does not take answers: {}", key_, ok.error().what);
        over_.request_stop();
    }
}

}  // namespace mill::broker
