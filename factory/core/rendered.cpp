// Deliveries whose notifier has jq: the row waits with its document until the delivery worker has made a request of it.
#include <algorithm>

#include "factory/core/core_impl.h"

namespace mill::factory::core {
namespace {

constexpr Milliseconds kEvaluateLater{10'000};

}  // namespace

void CoreImpl::delivery_rendered(std::string id, Result<Rendered> rendered, Done<DeliveryRecord> done)
{
    queue_.submit<DeliveryRecord>(std::move(done), [this, id = std::move(id), rendered = std::move(rendered)]() -> Result<DeliveryRecord> {
        auto delivery = writer_.read().delivery(id);
        if (!delivery) return delivery;
        if (delivery->state != DeliveryState::pending) return delivery;
        const WallTime now = clock_.now();
        if (!rendered) {
            if (auto ok = end_unrendered(*delivery, rendered.error(), now); !ok) return fail(ok.error());
            return delivery;
        }
        if (rendered->wanted) {
            delivery->request = rendered->request;
            if (auto ok = writer_.set_delivery_request(id, delivery->request); !ok) return fail(ok.error());
            return delivery;
        }
        const auto job = writer_.delivery_job(id);
        if (!job) return fail(job.error());
        if (auto ok = writer_.remove_delivery(id); !ok) return fail(ok.error());
        if (auto ok = feed({.time = now, .kind = "delivery", .job = *job, .subject = id, .what = "dropped", .agent = {}, .reason = "its `when` says no",
                            .detail = Json::object({{"notifier", delivery->notifier}, {"event", delivery->event}})});
            !ok)
            return fail(ok.error());
        forget_probe(*delivery);
        deliveries_made_ = true;   // a later one of the same job and notifier may have waited for this one
        delivery->state = DeliveryState::delivered;   // for the caller: there is nothing to send
        return delivery;
    });
}

Status CoreImpl::end_unrendered(DeliveryRecord& delivery, const Error& why, WallTime now)
{
    const bool later = (why.code == Errc::unavailable || why.code == Errc::cancelled) && now - delivery.created < options_.delivery_life;
    delivery.error = why.what;
    forget_probe(delivery);
    if (later) {
        delivery.next_try = now + kEvaluateLater;
        delivery.held = is_held(delivery.notifier);
        return writer_.change_delivery(delivery);
    }
    delivery.state = DeliveryState::dead;
    delivery.finished = now;
    delivery.next_try.reset();
    delivery.held = false;
    if (auto ok = writer_.change_delivery(delivery); !ok) return ok;
    const auto job = writer_.delivery_job(delivery.id);
    if (!job) return fail(job.error());
    if (auto ok = feed({.time = now, .kind = "delivery", .job = *job, .subject = delivery.id, .what = "dead", .agent = {}, .reason = delivery.error,
                        .detail = Json::object({{"notifier", delivery.notifier}, {"event", delivery.event}})});
        !ok)
        return ok;
    deliveries_made_ = true;
    return tell_dead(delivery);
}

/// It says nothing about the receiver: another one is to be tried.
void CoreImpl::forget_probe(const DeliveryRecord& delivery)
{
    const auto probe = probing_.find(delivery.notifier);
    if (probe != probing_.end() && probe->second == delivery.id) probing_.erase(probe);
}

Status CoreImpl::with_present_notifier(DeliveryRecord& delivery)
{
    if (delivery.request["kind"].as_string() != "unrendered") return {};
    const auto own = std::find_if(notifiers_.begin(), notifiers_.end(), [&](const Json& n) { return n["name"].as_string() == delivery.notifier; });
    if (own == notifiers_.end()) return {};
    delivery.request.set("spec", *own);
    return writer_.set_delivery_request(delivery.id, delivery.request);
}

}  // namespace mill::factory::core
