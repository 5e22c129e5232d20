#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/crypto.h"

namespace mill::factory::core {
namespace {

constexpr Milliseconds kOvertakeAfter{60'000};
constexpr std::size_t kResponseKept = 4096;

bool listens(const Json& notifier, std::string_view event)
{
    const Json& on = notifier["on"];
    const auto is = [&](const Json& one) { return one.as_string() == event || one.as_string() == "all"; };
    return is(on) || std::any_of(on.as_array().begin(), on.as_array().end(), is);
}

bool is_source(const Json& notifier, const Binding& binding)
{
    return notifier["trigger"].as_string() == binding.trigger || notifier["deployment"].as_string() == binding.deployment ||
           notifier["environment"].as_string() == binding.environment;
}

Json optional_time(const std::optional<WallTime>& time) { return time ? Json(format_time(*time)) : Json(); }

Json document_of(const JobRecord& job, std::string_view event)
{
    return Json::object(
        {{"event", event},
         {"job", Json::object({{"uid", job.uid}, {"state", protocol::name(job.state)}, {"reason", job.reason ? Json(protocol::name(*job.reason)) : Json()},
                               {"trigger", job.trigger}, {"deployment", job.deployment}, {"environment", job.environment},
                               {"package", Json::object({{"name", job.package_name}, {"version", job.package_version}, {"digest", job.package_digest}})},
                               {"workflow", job.workflow}, {"attempt", job.attempt}, {"agent", job.agent}, {"priority", job.priority}, {"retryOf", job.retry_of}})},
         {"trigger", Json::object({{"name", job.trigger}})},
         {"invocationContext", job.context},
         {"input", job.input},
         {"output", job.output},
         {"error", job.error},
         {"evidence", job.evidence},
         {"timings", Json::object({{"created", format_time(job.created)}, {"assigned", optional_time(job.assigned)}, {"started", optional_time(job.started)},
                                   {"ended", optional_time(job.ended)}})}});
}

/// The same whenever this is told of this job: who hears it twice, because the store is an older one, knows it by its id.
std::string delivery_id(std::string_view job, std::string_view notifier, std::string_view event)
{
    std::string bytes = platform::sha256(fmt::format("millwright-delivery\n{}\n{}\n{}", job, notifier, event)).substr(0, 16);
    bytes[6] = static_cast<char>((static_cast<unsigned char>(bytes[6]) & 0x0f) | 0x80);   // RFC 9562, version 8
    bytes[8] = static_cast<char>((static_cast<unsigned char>(bytes[8]) & 0x3f) | 0x80);
    const std::string hex = to_hex(bytes);
    return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4), hex.substr(20));
}

/// 1 s doubled each time up to 10 min, with a fifth of jitter either way.
Milliseconds backoff(std::uint32_t attempts)
{
    const std::int64_t base = std::min<std::int64_t>(600'000, 1'000LL << std::min<std::uint32_t>(attempts > 0 ? attempts - 1 : 0, 10));
    const int spread = static_cast<unsigned char>(random_bytes(1)[0]);
    return Milliseconds(base * 4 / 5 + base * 2 / 5 * spread / 255);
}

}  // namespace

void CoreImpl::load_notifiers()
{
    notifiers_.clear();
    const auto documents = writer_.read().documents("Notifier");
    if (!documents) {
        log::error("core", "notifiers: {}", documents.error().what);
        return;
    }
    for (const Document& document : *documents) {
        notifiers_.push_back(document.spec);
        notifiers_.back().set("name", document.name);
    }
}

bool CoreImpl::has_notifiers(const Binding& binding, std::string_view event) const
{
    if (binding.rules.contains("agent")) return false;   // a canary is between its caller and its agent
    return options_.renderer && std::any_of(notifiers_.begin(), notifiers_.end(), [&](const Json& n) { return is_source(n, binding) && listens(n, event); });
}

Status CoreImpl::notify(JobKey job, const std::string& uid, const Binding& binding, std::string_view event, bool final)
{
    if (!has_notifiers(binding, event)) return {};
    const auto record = writer_.read().job(uid);
    if (!record) return fail(record.error());
    const Json document = document_of(*record, event);
    for (const Json& notifier : notifiers_) {
        if (!is_source(notifier, binding) || !listens(notifier, event)) continue;
        NewDelivery delivery{.id = delivery_id(uid, notifier["name"].as_string(), event), .notifier = notifier["name"].as_string(), .event = std::string(event), .job = job, .final = final,
                             .state = DeliveryState::pending, .created = clock_.now(), .next_try = clock_.now(), .request = {}, .error = {}};
        if (writer_.delivery_job(delivery.id)) continue;   // the job is known anew, and this was made before
        auto rendered = options_.renderer({delivery.id, delivery.event, document, notifier});
        if (rendered && !rendered->wanted) continue;
        if (rendered) {
            delivery.request = std::move(rendered->request);
        } else {
            delivery.state = DeliveryState::dead;
            delivery.next_try.reset();
            delivery.error = rendered.error().what;
        }
        if (auto ok = writer_.insert_delivery(delivery); !ok) return ok;
        if (auto ok = feed({.time = delivery.created, .kind = "delivery", .job = job, .subject = delivery.id, .what = name(delivery.state), .agent = {},
                            .reason = delivery.error, .detail = Json::object({{"notifier", delivery.notifier}, {"event", event}})});
            !ok)
            return ok;
        deliveries_made_ = true;
    }
    return {};
}

void CoreImpl::claim_deliveries(std::size_t limit, Done<std::vector<DeliveryRecord>> done)
{
    queue_.submit<std::vector<DeliveryRecord>>(std::move(done), [this, limit] {
        const WallTime now = clock_.now();
        auto due = writer_.due_deliveries(now, now - kOvertakeAfter, limit);
        if (due && !awaited_.empty())
            if (auto ok = put_off(*due); !ok) return Result<std::vector<DeliveryRecord>>(fail(ok.error()));
        return due;
    });
}

void CoreImpl::delivery_done(DeliveryOutcome outcome, Done<DeliveryRecord> done)
{
    queue_.submit<DeliveryRecord>(std::move(done), [this, outcome = std::move(outcome)]() mutable -> Result<DeliveryRecord> {
        auto delivery = writer_.read().delivery(outcome.id);
        if (!delivery) return fail(delivery.error());
        const WallTime now = clock_.now();
        DeliveryAttempt attempt = std::move(outcome.attempt);
        attempt.number = ++delivery->attempts;
        attempt.time = now - attempt.took;
        if (attempt.response.size() > kResponseKept) attempt.response.resize(kResponseKept);
        delivery->error = attempt.error;
        delivery->next_try.reset();
        using Verdict = DeliveryOutcome::Verdict;
        std::string_view what;
        if (outcome.verdict == Verdict::delivered) {
            delivery->state = DeliveryState::delivered;
            delivery->finished = now;
            what = "delivered";
        } else if (outcome.verdict == Verdict::give_up || now - delivery->created >= options_.delivery_life) {
            delivery->state = DeliveryState::dead;
            delivery->finished = now;
            what = "dead";
        } else {
            delivery->state = DeliveryState::pending;
            delivery->next_try = now + (outcome.retry_after ? *outcome.retry_after : backoff(delivery->attempts));
            what = "retry";
        }
        if (auto ok = writer_.insert_delivery_attempt(outcome.id, attempt); !ok) return fail(ok.error());
        if (auto ok = writer_.change_delivery(*delivery); !ok) return fail(ok.error());
        const auto job = writer_.delivery_job(outcome.id);
        if (!job) return fail(job.error());
        if (auto ok = feed({.time = now, .kind = "delivery", .job = *job, .subject = outcome.id, .what = what, .agent = {}, .reason = delivery->error,
                            .detail = Json::object({{"notifier", delivery->notifier}, {"event", delivery->event}, {"status", attempt.status}})});
            !ok)
            return fail(ok.error());
        // A later one of the same job and notifier may have waited for this one.
        if (delivery->state != DeliveryState::pending) deliveries_made_ = true;
        delivery->history.push_back(std::move(attempt));
        return delivery;
    });
}

void CoreImpl::resend(std::string id, Who who, Done<DeliveryRecord> done)
{
    queue_.submit<DeliveryRecord>(std::move(done), [this, id = std::move(id), who = std::move(who)]() -> Result<DeliveryRecord> {
        auto delivery = writer_.read().delivery(id);
        if (!delivery) return fail(delivery.error());
        if (delivery->request.is_null()) return fail(Errc::conflict, fmt::format("delivery {} could not be rendered: {}", id, delivery->error));
        delivery->state = DeliveryState::pending;
        delivery->next_try = clock_.now();
        delivery->finished.reset();
        if (auto ok = writer_.change_delivery(*delivery); !ok) return fail(ok.error());
        if (auto ok = audit(who, "resend", "Delivery", id); !ok) return fail(ok.error());
        const auto job = writer_.delivery_job(id);
        if (!job) return fail(job.error());
        if (auto ok = feed({.time = clock_.now(), .kind = "delivery", .job = *job, .subject = id, .what = "resend", .agent = {}, .reason = {},
                            .detail = Json::object({{"notifier", delivery->notifier}, {"by", who.name}})});
            !ok)
            return fail(ok.error());
        deliveries_made_ = true;
        return delivery;
    });
}

void CoreImpl::add_test_delivery(std::string notifier, Json request, Who who, Done<DeliveryRecord> done)
{
    queue_.submit<DeliveryRecord>(std::move(done), [=, this]() -> Result<DeliveryRecord> {
        const NewDelivery delivery{.id = new_uid(), .notifier = notifier, .event = "test", .job = 0, .final = false, .state = DeliveryState::pending,
                                   .created = clock_.now(), .next_try = clock_.now(), .request = request, .error = {}};
        if (auto ok = writer_.insert_delivery(delivery); !ok) return fail(ok.error());
        if (auto ok = audit(who, "test", "Notifier", notifier, Json::object({{"delivery", delivery.id}})); !ok) return fail(ok.error());
        if (auto ok = feed({.time = delivery.created, .kind = "delivery", .subject = delivery.id, .what = "pending", .agent = {}, .reason = {},
                            .detail = Json::object({{"notifier", notifier}, {"event", "test"}})});
            !ok)
            return fail(ok.error());
        deliveries_made_ = true;
        return writer_.read().delivery(delivery.id);
    });
}

}  // namespace mill::factory::core
