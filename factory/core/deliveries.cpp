// The outbox: what is due, what came of an attempt, and notifiers whose receivers do not work.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "factory/core/sources.h"
#include "factory/resources/named_credentials.h"
#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"

namespace mill::factory::core {
namespace {

constexpr Milliseconds kOvertakeAfter{60'000};
constexpr std::size_t kResponseKept = 4096;

/// 1 s doubled each time up to 10 min, with a fifth of jitter either way.
Milliseconds backoff(std::uint32_t attempts)
{
    const std::int64_t base = std::min<std::int64_t>(600'000, 1'000LL << std::min<std::uint32_t>(attempts > 0 ? attempts - 1 : 0, 10));
    const int spread = static_cast<unsigned char>(random_bytes(1)[0]);
    return Milliseconds(base * 4 / 5 + base * 2 / 5 * spread / 255);
}

}  // namespace

void CoreImpl::claim_deliveries(std::size_t limit, Done<std::vector<DeliveryRecord>> done)
{
    queue_.submit<std::vector<DeliveryRecord>>(std::move(done), [this, limit] {
        const WallTime now = clock_.now();
        auto due = writer_.due_deliveries(now, now - kOvertakeAfter, limit);
        if (!due) return due;
        for (const auto& [notifier, state] : receivers_) {   // of a held notifier one goes out now and then
            if (!state.held_since || probing_.contains(notifier) || state.next_probe.value_or(now) > now) continue;
            auto probe = writer_.probe_delivery(notifier);
            if (!probe) return Result<std::vector<DeliveryRecord>>(fail(probe.error()));
            if (*probe) due->push_back(std::move(**probe));
        }
        if (!awaited_.empty())
            if (auto ok = put_off(*due); !ok) return Result<std::vector<DeliveryRecord>>(fail(ok.error()));
        for (const DeliveryRecord& each : *due)
            if (is_held(each.notifier)) probing_[each.notifier] = each.id;
        return due;
    });
}

void CoreImpl::put_back_deliveries(std::vector<std::string> ids, Done<std::size_t> done)
{
    queue_.submit<std::size_t>(std::move(done), [this, ids = std::move(ids)]() -> Result<std::size_t> {
        std::size_t count = 0;
        for (const std::string& id : ids) {
            auto delivery = writer_.read().delivery(id);
            if (!delivery) return fail(delivery.error());
            if (delivery->state != DeliveryState::pending) continue;
            delivery->held = is_held(delivery->notifier);
            if (auto ok = writer_.change_delivery(*delivery); !ok) return fail(ok.error());
            ++count;
            deliveries_made_ = deliveries_made_ || !delivery->held;
        }
        return count;
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
            delivery->next_try = now + std::max(backoff(delivery->attempts), outcome.retry_after.value_or(Milliseconds(0)));
            what = "retry";
        }
        if (!outcome.kept.is_null())
            if (auto ok = writer_.set_delivery_kept(outcome.id, outcome.kept); !ok) return fail(ok.error());
        if (auto ok = judge(*delivery, outcome, now); !ok) return fail(ok.error());
        delivery->held = delivery->state == DeliveryState::pending && is_held(delivery->notifier);
        if (auto ok = writer_.insert_delivery_attempt(outcome.id, attempt); !ok) return fail(ok.error());
        if (auto ok = writer_.change_delivery(*delivery); !ok) return fail(ok.error());
        if (auto ok = writer_.count_delivery(now, delivery->notifier, what == "retry" ? "failed" : what); !ok) return fail(ok.error());
        const auto job = writer_.delivery_job(outcome.id);
        if (!job) return fail(job.error());
        if (auto ok = feed({.time = now, .kind = "delivery", .job = *job, .subject = outcome.id, .what = what, .agent = {}, .reason = delivery->error,
                            .detail = Json::object({{"notifier", delivery->notifier}, {"event", delivery->event}, {"status", attempt.status}})});
            !ok)
            return fail(ok.error());
        if (delivery->state == DeliveryState::dead)
            if (auto ok = tell_dead(*delivery); !ok) return fail(ok.error());
        // A later one of the same job and notifier may have waited for this one.
        if (delivery->state != DeliveryState::pending) deliveries_made_ = true;
        delivery->history.push_back(std::move(attempt));
        return delivery;
    });
}

/// One failure may be the message's own; many in a row, whatever the messages, are the receiver's. Then they wait instead of dying.
Status CoreImpl::judge(const DeliveryRecord& delivery, const DeliveryOutcome& outcome, WallTime now)
{
    if (delivery.notifier.starts_with(kCallback)) return {};   // each caller has a receiver of its own: one that fails holds up no other
    const auto probe = probing_.find(delivery.notifier);
    const bool probed = probe != probing_.end() && probe->second == delivery.id;
    if (probed) probing_.erase(probe);
    const auto known = receivers_.find(delivery.notifier);
    if (outcome.verdict == DeliveryOutcome::Verdict::delivered) {
        if (known == receivers_.end()) return {};
        NotifierState state = known->second;
        return release_notifier(state, {});
    }
    NotifierState state = known == receivers_.end() ? NotifierState{.notifier = delivery.notifier, .failures = 0, .held_since = {}, .next_probe = {}, .probes = 0, .why = {}, .pending = 0, .dead = 0}
                                                    : known->second;
    ++state.failures;
    state.why = delivery.error.substr(0, 1000);
    const bool opens = !state.held_since && state.failures >= options_.hold_after;
    if (opens) state.held_since = now;
    if (opens || probed) {   // what was under way when it was held says nothing new
        if (!opens) ++state.probes;
        const Milliseconds pause = std::min(options_.last_probe, options_.first_probe * (std::int64_t{1} << std::min<std::uint32_t>(state.probes, 20)));
        state.next_probe = now + std::max(pause, outcome.retry_after.value_or(Milliseconds(0)));
    }
    if (auto ok = writer_.put_notifier_state(state); !ok) return ok;
    receivers_.insert_or_assign(state.notifier, state);
    if (!opens) return {};
    if (auto ok = writer_.hold_deliveries(state.notifier); !ok) return ok;
    log::warning("core", "notifier '{}' is held after {} failed attempts in a row, the last: {}", state.notifier, state.failures, state.why);
    if (auto ok = feed({.time = now, .kind = "notifier", .subject = state.notifier, .what = "held", .agent = {}, .reason = state.why, .detail = {}}); !ok) return ok;
    return tell_held(state);
}

/// It works again, or is to be tried as if it did.
Status CoreImpl::release_notifier(NotifierState& state, std::string_view by)
{
    const bool was_held = state.held_since.has_value();
    state.failures = state.probes = 0;
    state.held_since.reset();
    state.next_probe.reset();
    if (auto ok = writer_.put_notifier_state(state); !ok) return ok;
    receivers_.erase(state.notifier);
    probing_.erase(state.notifier);
    if (!was_held) return {};
    if (auto ok = writer_.release_deliveries(state.notifier, clock_.now()); !ok) return ok;
    deliveries_made_ = true;
    return feed({.time = clock_.now(), .kind = "notifier", .subject = state.notifier, .what = "resumed", .agent = {}, .reason = by, .detail = {}});
}

bool CoreImpl::is_held(const std::string& notifier) const
{
    const auto known = receivers_.find(notifier);
    return known != receivers_.end() && known->second.held_since.has_value();
}

bool CoreImpl::probe_due(WallTime now) const
{
    return std::any_of(receivers_.begin(), receivers_.end(), [&](const auto& each) {
        return each.second.held_since && each.second.next_probe.value_or(now) <= now && !probing_.contains(each.first);
    });
}

Status CoreImpl::probe_now(std::string_view kind, const std::string& changed)
{
    for (auto& [notifier, state] : receivers_) {
        if (!state.held_since) continue;
        const auto own = std::find_if(notifiers_.begin(), notifiers_.end(), [&name = notifier](const Json& n) { return n["name"].as_string() == name; });
        bool concerned = kind == "Notifier" && changed == notifier;
        if (kind == "Credential" && own != notifiers_.end())
            for (const auto& [place, credential] : credentials_named_in(*own)) concerned = concerned || credential == changed;
        if (!concerned) continue;
        state.next_probe = clock_.now();
        state.probes = 0;
        if (auto ok = writer_.put_notifier_state(state); !ok) return ok;
        deliveries_made_ = true;
    }
    return {};
}

void CoreImpl::resume_notifier(std::string notifier, Who who, Done<NotifierState> done)
{
    queue_.submit<NotifierState>(std::move(done), [=, this]() -> Result<NotifierState> {
        if (!is_held(notifier)) return fail(Errc::conflict, fmt::format("notifier '{}' is not held: its deliveries go out as they are due", notifier));
        NotifierState state = receivers_.at(notifier);
        if (auto ok = release_notifier(state, who.name); !ok) return fail(ok.error());
        if (auto ok = audit(who, "resume", "Notifier", notifier); !ok) return fail(ok.error());
        return writer_.read().notifier_state(notifier);
    });
}

Status CoreImpl::send_again(DeliveryRecord& delivery, const Who& who)
{
    delivery.state = DeliveryState::pending;
    delivery.next_try = clock_.now();
    delivery.finished.reset();
    delivery.held = false;   // who asks for it wants to see what happens now
    delivery.hold.reset();
    if (auto ok = with_present_notifier(delivery); !ok) return ok;
    if (auto ok = writer_.change_delivery(delivery); !ok) return ok;
    if (auto ok = audit(who, "resend", "Delivery", delivery.id); !ok) return ok;
    const auto job = writer_.delivery_job(delivery.id);
    if (!job) return fail(job.error());
    deliveries_made_ = true;
    return feed({.time = clock_.now(), .kind = "delivery", .job = *job, .subject = delivery.id, .what = "resend", .agent = {}, .reason = {},
                 .detail = Json::object({{"notifier", delivery.notifier}, {"by", who.name}})});
}

void CoreImpl::resend(std::string id, Who who, Done<DeliveryRecord> done)
{
    queue_.submit<DeliveryRecord>(std::move(done), [this, id = std::move(id), who = std::move(who)]() -> Result<DeliveryRecord> {
        auto delivery = writer_.read().delivery(id);
        if (!delivery) return fail(delivery.error());
        if (delivery->request.is_null()) return fail(Errc::conflict, fmt::format("delivery {} could not be rendered: {}", id, delivery->error));
        if (auto ok = send_again(*delivery, who); !ok) return fail(ok.error());
        return delivery;
    });
}

void CoreImpl::resend_all(DeliveryQuery query, bool only_look, Who who, Done<Resent> done)
{
    queue_.submit<Resent>(std::move(done), [=, this]() -> Result<Resent> {
        auto page = writer_.read().deliveries(query);
        if (!page) return fail(page.error());
        Resent out;
        out.more = !page->next.empty();
        for (DeliveryRecord& each : page->items) {
            if (each.request.is_null()) {
                out.refused.push_back(std::move(each));
                continue;
            }
            if (!only_look)
                if (auto ok = send_again(each, who); !ok) return fail(ok.error());
            out.items.push_back(std::move(each));
        }
        return out;
    });
}

void CoreImpl::add_test_delivery(std::string notifier, Json request, Who who, Done<DeliveryRecord> done)
{
    queue_.submit<DeliveryRecord>(std::move(done), [=, this]() -> Result<DeliveryRecord> {
        const NewDelivery delivery{.id = new_uid(), .notifier = notifier, .event = "test", .job = 0, .subject = {}, .held = is_held(notifier), .final = false, .state = DeliveryState::pending,
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
