#include "factory/notify/worker.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "platform/base/ids.h"
#include "platform/base/log.h"

namespace mill::factory {
namespace {

/// Scheme, host and port: those who share it share a receiver.
std::string destination_of(const Json& request)
{
    const std::string& url = request["url"].as_string();
    const auto scheme = url.find("://");
    return scheme == std::string::npos ? url : url.substr(0, url.find_first_of("/?#", scheme + 3));
}

bool is_mail(const std::string& destination) { return destination.starts_with("smtp"); }

/// Two kinds of thread: one claims, the others send. Everything below is guarded by one mutex, held for moments only.
class Worker final : public DeliveryWorker {
public:
    Worker(WorkerOptions options, Core& core, Deliverer& deliverer, LateRenderer late) : options_(options), core_(core), deliverer_(deliverer), late_(std::move(late))
    {
        heard_ = core_.wakeups().subscribe(Wakeups::Topic::deliveries, [this](std::uint64_t) {
            {
                const std::scoped_lock lock(mutex_);
                claim_wanted_ = true;
            }
            claim_.notify_one();
        });
        claimer_ = std::jthread([this](std::stop_token stop) { claim(stop); });
    }
    ~Worker() override { stop(); }

    void stop() override
    {
        heard_.reset();
        {
            const std::scoped_lock lock(mutex_);
            if (stopping_) return;
            stopping_ = true;
        }
        stop_.request_stop();
        claimer_.request_stop();
        claim_.notify_all();
        work_.notify_all();
        if (claimer_.joinable()) claimer_.join();
        std::map<std::uint64_t, std::jthread> senders;
        {
            const std::scoped_lock lock(mutex_);
            senders.swap(senders_);
        }
        senders.clear();  // joins
    }

private:
    struct Destination {
        std::deque<DeliveryRecord> waiting;
        std::size_t busy = 0;
        bool silent = false;   ///< its last attempt had no answer: one at a time until it speaks
        bool may_start(const WorkerOptions& options) const { return !waiting.empty() && busy < (silent ? 1 : options.per_destination); }
    };

    void claim(const std::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            std::size_t room = 0;
            {
                std::unique_lock lock(mutex_);
                // A look once in a while costs nothing and heals a wake-up that was lost.
                claim_.wait_for(lock, stop, std::chrono::seconds(30), [&] { return claim_wanted_ && held_ < options_.claimed; });
                if (stop.stop_requested()) return;
                claim_wanted_ = false;
                room = std::min<std::size_t>(options_.claimed - std::min(held_, options_.claimed), 256);
            }
            if (room == 0) continue;
            auto claimed = await<std::vector<DeliveryRecord>>([&](auto done) { core_.claim_deliveries(room, std::move(done)); });
            if (!claimed) {
                log::warning("notify", "due deliveries cannot be read: {}", claimed.error().what);
                continue;
            }
            const std::scoped_lock lock(mutex_);
            if (claimed->size() == room) claim_wanted_ = true;  // there may be more
            held_ += claimed->size();
            for (DeliveryRecord& each : *claimed) destinations_[destination_of(each.request)].waiting.push_back(std::move(each));
            start_senders();
        }
    }

    /// With the mutex held: as many senders as there is work that may start now.
    void start_senders()
    {
        for (auto& [id, thread] : std::exchange(ended_, {}))
            if (thread.joinable()) thread.join();  // it has left its loop
        std::size_t startable = 0;
        for (const auto& [name, each] : destinations_)
            if (each.may_start(options_)) startable += std::min(each.waiting.size(), (each.silent ? 1 : options_.per_destination) - each.busy);
        const std::size_t wanted = std::min(options_.threads + options_.mails, senders_.size() - idle_ + startable);
        while (!stopping_ && senders_.size() < wanted) {
            const std::uint64_t id = ++last_sender_;
            senders_.emplace(id, std::jthread([this, id] { run_sender(id); }));
        }
        work_.notify_all();
    }

    void run_sender(std::uint64_t id)
    {
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            const auto found = next();
            if (found == destinations_.end()) {
                ++idle_;
                const bool woken = work_.wait_for(lock, std::chrono::seconds(30), [&] { return stopping_ || next() != destinations_.end(); });
                --idle_;
                if (woken) continue;
                break;
            }
            const std::string name = found->first;
            DeliveryRecord delivery = std::move(found->second.waiting.front());
            found->second.waiting.pop_front();
            ++found->second.busy;
            ++busy_[is_mail(name)];
            last_ = name;
            lock.unlock();
            const bool answered = send(delivery);
            lock.lock();
            const auto after = destinations_.find(name);
            --after->second.busy;
            --busy_[is_mail(name)];
            after->second.silent = !answered;
            if (after->second.busy == 0 && after->second.waiting.empty()) {
                if (!after->second.silent || destinations_.size() > 1000) destinations_.erase(after);
            }
            --held_;
            if (claim_wanted_) claim_.notify_one();
            work_.notify_all();
        }
        if (const auto self = senders_.find(id); self != senders_.end()) {  // else stop() joins it
            ended_.emplace(id, std::move(self->second));
            senders_.erase(self);
        }
    }

    /// The next destination in turn that may start one, so that many for one do not hold up few for another.
    std::map<std::string, Destination>::iterator next()
    {
        auto at = destinations_.upper_bound(last_);
        for (std::size_t i = 0; i < destinations_.size(); ++i) {
            if (at == destinations_.end()) at = destinations_.begin();
            const bool mail = is_mail(at->first);
            if (at->second.may_start(options_) && busy_[mail] < (mail ? options_.mails : options_.threads)) return at;
            ++at;
        }
        return destinations_.end();
    }

    /// False when there was no answer at all.
    bool send(DeliveryRecord& delivery)
    {
        if (is_unrendered(delivery.request) && !render(delivery)) return true;   // nothing was asked of the receiver
        Json kept;
        if (!delivery.request["edit"].is_null())
            if (auto read = core_.reader()->kept_answer(delivery.job, delivery.notifier)) kept = std::move(*read);
        DeliveryOutcome outcome = deliverer_.attempt(delivery.id, delivery.request, stop_.get_token(), kept);
        if (stop_.stop_requested() && outcome.attempt.status == 0) return false;  // cut off by us: still due at the next start
        const bool answered = outcome.attempt.status != 0 || outcome.verdict == DeliveryOutcome::Verdict::delivered;
        const auto not_stored = [id = delivery.id](const Error& why) { log::error("notify", "delivery {}: its outcome cannot be stored: {}", id, why.what); };
        if (outcome.verdict == DeliveryOutcome::Verdict::delivered) {
            core_.delivery_done(std::move(outcome), [not_stored](Result<DeliveryRecord> stored) {
                if (!stored) not_stored(stored.error());
            });
            return answered;
        }
        log::warning("notify", "delivery {} of notifier {} (job {}): {}", delivery.id, delivery.notifier, delivery.job, outcome.attempt.error);
        const auto stored = await<DeliveryRecord>([&](auto done) { core_.delivery_done(std::move(outcome), std::move(done)); });
        if (!stored) not_stored(stored.error());
        else if (stored->held) put_back(delivery.notifier);
        return answered;
    }

    /// Makes and stores the request. False: there is nothing to send now.
    bool render(DeliveryRecord& delivery)
    {
        auto rendered = late_ ? late_(delivery.id, delivery.request) : fail(Errc::invalid, "nothing here can evaluate its jq");
        if (stop_.stop_requested()) return false;   // still due at the next start
        if (!rendered) log::warning("notify", "delivery {} of notifier {} (job {}): {}", delivery.id, delivery.notifier, delivery.job, rendered.error().what);
        auto stored = await<DeliveryRecord>([&](auto done) { core_.delivery_rendered(delivery.id, std::move(rendered), std::move(done)); });
        if (!stored) {
            log::error("notify", "delivery {}: its request cannot be stored: {}", delivery.id, stored.error().what);
            return false;
        }
        delivery = std::move(*stored);
        return delivery.state == DeliveryState::pending && !is_unrendered(delivery.request);
    }

    /// It is held from now on: what was claimed of it and not begun waits in the store, with the rest.
    void put_back(const std::string& notifier)
    {
        std::vector<std::string> ids;
        {
            const std::scoped_lock lock(mutex_);
            for (auto& [name, destination] : destinations_) {
                std::deque<DeliveryRecord> others;
                for (DeliveryRecord& each : destination.waiting) {
                    if (each.notifier == notifier) ids.push_back(each.id);
                    else others.push_back(std::move(each));
                }
                destination.waiting = std::move(others);
            }
            held_ -= ids.size();
        }
        if (ids.empty()) return;
        const auto put = await<std::size_t>([&](auto done) { core_.put_back_deliveries(std::move(ids), std::move(done)); });
        if (!put) log::error("notify", "deliveries of notifier {} cannot be put back: {}", notifier, put.error().what);
    }

    WorkerOptions options_;
    Core& core_;
    Deliverer& deliverer_;
    LateRenderer late_;
    std::stop_source stop_;
    std::shared_ptr<void> heard_;
    std::mutex mutex_;
    std::condition_variable_any claim_, work_;
    std::map<std::string, Destination> destinations_;
    std::string last_;
    std::size_t busy_[2] = {0, 0};   ///< senders of all else, of mail
    std::size_t held_ = 0, idle_ = 0;
    bool claim_wanted_ = true, stopping_ = false;
    std::uint64_t last_sender_ = 0;
    std::map<std::uint64_t, std::jthread> senders_, ended_;
    std::jthread claimer_;
};

}  // namespace

std::unique_ptr<DeliveryWorker> start_delivery_worker(WorkerOptions options, Core& core, Deliverer& deliverer, LateRenderer late)
{
    return std::make_unique<Worker>(options, core, deliverer, std::move(late));
}

Result<Json> try_notifier(const Document& notifier, const Json& sample_job, const Renderer& renderer, Deliverer& deliverer, const LateRenderer& late)
{
    Notification notification;
    notification.delivery = new_uid();
    notification.event = sample_job["event"].is_string() ? sample_job["event"].as_string() : "success";
    notification.job = sample_job;
    notification.notifier = notifier.spec;
    Json out = Json::object({{"ok", false}});
    auto rendered = renderer(notification);
    if (rendered && rendered->wanted && is_unrendered(rendered->request)) rendered = late ? late(notification.delivery, rendered->request) : fail(Errc::invalid, "nothing here can evaluate its jq");
    if (!rendered) return out.set("error", Json(rendered.error().what));
    if (!rendered->wanted) return out.set("error", Json(fmt::format("the notifier sends nothing for this: its `when` says no, or it has no message for {}", notification.event)));
    const DeliveryOutcome outcome = deliverer.attempt(notification.delivery, rendered->request);
    out.set("ok", Json(outcome.verdict == DeliveryOutcome::Verdict::delivered)).set("request", outcome.attempt.request);
    if (outcome.attempt.status != 0) out.set("response", Json::object({{"status", outcome.attempt.status}, {"body", outcome.attempt.response}}));
    if (!outcome.attempt.error.empty()) out.set("error", Json(outcome.attempt.error));
    return out;
}

CredentialSource stored_credentials(Core& core, std::function<Result<Json>(const CredentialRecord&)> open, const Clock& clock)
{
    return [&core, open = std::move(open), &clock](const std::string& name) -> Result<Credential> {
        const auto record = core.reader()->credential(name);
        if (!record) {
            if (record.error().code != Errc::not_found) return fail(record.error());
            return fail(Errc::not_found, fmt::format("there is no credential '{}' (millwright credentials set {})", name, name));
        }
        if (const Json& expires = record->about["expires"]; expires.is_string())
            if (const auto end = parse_time(expires.as_string()); end && *end <= clock.now())
                return fail(Errc::denied, fmt::format("credential '{}' has expired on {}", name, expires.as_string()));
        auto values = open(*record);
        if (!values) return fail(fmt::format("credential '{}'", name), values.error());
        Credential out{name, record->about["kind"].as_string(), std::move(*values), {}, record->about["environment"].as_string(), record->changed};
        for (const Json& host : record->about["hosts"].as_array()) out.hosts.push_back(host.as_string());
        return out;
    };
}

}  // namespace mill::factory
