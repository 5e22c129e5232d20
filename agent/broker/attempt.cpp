#include "agent/broker/attempt.h"

#include <algorithm>
#include <system_error>

#include <sys/socket.h>

#include <fmt/core.h>

#include "agent/broker/reach.h"
#include "platform/base/log.h"

namespace mill::broker {
namespace {

constexpr int kMaxNoted = 20;
constexpr Milliseconds kSendLimit{30'000};  // a runner that does not read for so long gets no more answers

}  // namespace

Attempt::~Attempt()
{
    detach();
    if (reader_.joinable()) reader_.join();  // before its workers and its bridge: it makes them
    bridge_.reset();
}

void Attempt::attach(platform::Channel channel, bool to_new_broker)
{
    if (attached()) {
        log::warning("broker", "attempt {}: a second effect channel is not taken", key_);
        return;
    }
    channel_ = std::move(channel);
    if (to_new_broker) say(reset_text());
    try {
        reader_ = std::jthread([this] { read(over_.get_token()); });
    } catch (const std::system_error& error) {
        log::error("broker", "attempt {}: no thread to read what it asks: {}", key_, error.what());
        channel_ = {};  // its runner sees that nobody answers
    }
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
        keep_pace(stop);
        auto got = channel_.receive(next_expiry(), stop);
        expire();
        if (!got) {
            if (got.error().code != Errc::cancelled && got.error().code != Errc::unavailable)
                log::warning("broker", "attempt {}: {}", key_, got.error().what);
            break;
        }
        if (*got) accept(std::move(**got));
        if (violations_ >= kMaxViolations) {
            log::warning("broker", "attempt {}: too many malformed messages, its channel is closed", key_);
            break;
        }
    }
    end_all();
}

/// Its messages wait in the channel meanwhile, and then it waits itself; what is open still ends in time.
void Attempt::keep_pace(const std::stop_token& stop)
{
    while (!stop.stop_requested()) {
        const SteadyTime now = system_clock().steady();
        calls_left_ = std::min(kCallsAtOnce, calls_left_ + std::chrono::duration<double>(now - counted_).count() * kCallsPerSecond);
        counted_ = now;
        if (calls_left_ >= 1) return;
        {
            std::unique_lock lock(mutex_);
            (void)changed_.wait_for(lock, stop, Milliseconds(5), [] { return false; });
        }
        expire();
    }
}

void Attempt::give_back(std::size_t bytes)
{
    open_bytes_ -= bytes;
    all_.bytes -= bytes;
}

void Attempt::accept(platform::Message message)
{
    calls_left_ -= 1;
    if (message.handle.valid()) {
        // Whatever it is: closing it must not wait for a peer that never takes what was sent.
        constexpr linger kAtOnce{1, 0};
        (void)::setsockopt(message.handle.native(), SOL_SOCKET, SO_LINGER, &kAtOnce, sizeof kAtOnce);
    }
    auto incoming = parse_incoming(message.text);
    if (!incoming) {
        ++violations_;
        say(error_text(0, effect_error(incoming.error(), "Malformed message")));
        return;
    }
    if (incoming->listener) take_listener(std::move(message.handle));
    else if (incoming->cancel) cancel(*incoming->cancel);
    else start(std::move(*incoming->call), message.text.size());
}

void Attempt::take_listener(platform::Handle handle)
{
    auto listener = bridge_ ? Result<platform::TcpListener>(fail(Errc::denied, "a second listener was handed over")) : platform::TcpListener::take_over(std::move(handle), kBridgePort);
    if (!listener) {
        ++violations_;
        log::warning("broker", "attempt {}: {}", key_, listener.error().what);
        return say(error_text(0, effect_error(listener.error(), "Listener not taken")));
    }
    std::unique_ptr<Bridge> bridge;
    try {
        bridge = std::make_unique<Bridge>(key_, std::move(*listener), [this](const std::stop_token& stop) { return wait_for_grants(stop); },
                                           [this](const EffectError& error) {
                                               if (note_refusal("the network of a command", error)) say(note_text("a command was refused the network: " + error.detail));
                                           });
    } catch (const std::system_error& error) {
        log::error("broker", "attempt {}: no thread for the network of its commands: {}", key_, error.what());
        return say(note_text("commands have no network: the agent's machine has no thread left for it"));
    }
    const std::scoped_lock lock(mutex_);
    bridge_ = std::move(bridge);
    if (over_.stop_requested()) bridge_->end();
}

void Attempt::start(EffectCall call, std::size_t bytes)
{
    std::unique_lock lock(mutex_);
    const std::uint64_t id = call.id;
    std::string problem;
    if (open_.contains(id)) problem = fmt::format("the call {} is open already", id);
    else if (open_.size() >= kMaxOpenCalls || queue_.size() >= kMaxOpenCalls) problem = fmt::format("more than {} calls are open", kMaxOpenCalls);
    else if (open_bytes_ + bytes > kOwnBytes && all_.bytes + bytes > all_.most) problem = fmt::format("the open calls of all jobs here have more than {} bytes", all_.most);
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
    all_.bytes += bytes;
    queue_.push_back({std::move(call), deadline, open.stop.get_token()});
    if (idle_ < queue_.size() && at_work_ <= kMaxWorkers && !hire()) {
        queue_.pop_back();
        open_.erase(id);
        give_back(bytes);
        lock.unlock();
        return say(error_text(id, {"runtime", 503, "No worker", "the agent's machine has no thread left for the job's effects"}));
    }
    lock.unlock();
    changed_.notify_all();
}

/// Where no thread can be made (a limit of the machine or the unit) those that are there go on. False: there is none.
bool Attempt::hire()
{
    if (over_.stop_requested()) return true;
    std::erase_if(workers_, [&](std::jthread& each) {  // those that made way: an ended thread keeps its stack until it is joined
        const bool gone = std::find(gone_.begin(), gone_.end(), each.get_id()) != gone_.end();
        if (gone) each.join();
        return gone;
    });
    gone_.clear();
    try {
        workers_.emplace_back([this] { work(over_.get_token()); });
        ++at_work_;
    } catch (const std::system_error& error) {
        log::error("broker", "attempt {}: no thread for its calls: {}", key_, error.what());
    }
    return at_work_ > 0;
}

void Attempt::cancel(std::uint64_t id)
{
    std::stop_source stopping;
    {
        const std::scoped_lock lock(mutex_);
        const auto found = open_.find(id);
        if (found == open_.end()) return;
        stopping = found->second.stop;
        std::erase_if(queue_, [&](const Work& item) { return item.stop == stopping.get_token(); });  // with what it holds
        give_back(found->second.bytes);
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
        if (bridge_) bridge_->end();
        ended.swap(open_);
        queue_.clear();
        give_back(open_bytes_);
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
    give_back(found->second.bytes);
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
    std::optional<std::string> confined;  // to which places: nobody gets out of that again
    while (true) {
        std::unique_lock lock(mutex_);
        ++idle_;
        changed_.wait(lock, stop, [&] { return !queue_.empty() && (confined || confined_ < kMaxWorkers); });
        --idle_;
        if (stop.stop_requested()) return;
        Work item = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        if (item.stop.stop_requested()) continue;
        const auto grants = wait_for_grants(item.stop);
        if (!grants || item.stop.stop_requested()) continue;
        std::string places = places_of(grants->permissions);
        lock.lock();
        if (confined && *confined != places) {  // one that is free yet goes on with it
            queue_.push_front(std::move(item));
            --at_work_;
            --confined_;
            gone_.push_back(std::this_thread::get_id());  // from here on without the lock
            lock.unlock();
            return changed_.notify_all();
        }
        // One is always left that is free yet, or nobody could be hired any more: threads inherit what theirs is confined to.
        if (!confined && ++confined_ == at_work_) (void)hire();
        lock.unlock();
        EffectContext context{*grants, clients_, item.deadline, item.stop};
        const Status narrow = confined ? Status{} : platform::confine_files(reach_of(grants->permissions));
        if (!confined) confined = std::move(places);  // in part at least, when that failed
        const Outcome<Json> outcome = narrow ? perform(item.call, context) : refuse("configuration", 500, "Not confined", narrow.error().what);
        if (!outcome) (void)note_refusal(item.call.effect, outcome.error());
        else if (item.call.effect == "credential.reveal") note_revealed((*outcome)["values"]);
        std::string text = outcome ? result_text(item.call.id, *outcome, context.masked) : error_text(item.call.id, outcome.error(), context.masked);
        if (context.masked > 0) log::debug("broker", "attempt {}: {} secrets masked in what {} gave", key_, context.masked, item.call.effect);
        if (text.size() > platform::Channel::kMaxMessage)
            text = error_text(item.call.id, {"runtime", 413, "Result too large", fmt::format("the result of {} has {} bytes", item.call.effect, text.size())});
        if (take(item.call.id, item.stop)) say(text);
    }
}

bool Attempt::note_refusal(const std::string& effect, const EffectError& error)
{
    if (error.status != 401 && error.status != 403) return false;
    const int count = ++refusals_;
    if (count <= kMaxNoted) log::info("broker", "attempt {}: {} refused: {}", key_, effect, error.detail.substr(0, 500));
    if (count == kMaxNoted) log::info("broker", "attempt {}: further refusals are not logged", key_);
    return count <= kMaxNoted;
}

/// Names only. For whoever asks later where a value went.
void Attempt::note_revealed(const Json& values)
{
    for (const auto& [handle, value] : values.as_object()) {
        const std::scoped_lock lock(mutex_);
        if (revealed_.size() < kMaxNoted && revealed_.insert(handle.substr(0, 200)).second)
            log::info("broker", "attempt {}: the value of {} is given to a command", key_, handle.substr(0, 200));
    }
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
