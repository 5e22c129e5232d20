// What a notifier hears of when it has lasted too long (a job that waits, an agent that is away) or nears its end (a credential).
// Nothing of it is kept but the deliveries made: a delivery's id is that of what it tells, so a restart makes none twice.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/core/core_impl.h"
#include "factory/core/sources.h"

namespace mill::factory::core {
namespace {

constexpr Milliseconds kWait{300'000}, kBefore{14 * 86'400'000LL};
constexpr Milliseconds kComingBack{60'000};   // agents find a factory that was away within this
constexpr Milliseconds kTurn{50};             // others want the writer, too

}  // namespace

Status CoreImpl::load_watches()
{
    watches_.clear();
    waits_watched_ = std::any_of(notifiers_.begin(), notifiers_.end(), [](const Json& n) { return listens(n, "waiting"); });
    if (waits_watched_) {
        const auto waiting = writer_.waiting_since();
        if (!waiting) return fail(waiting.error());
        for (const Writer::WaitingSince& each : *waiting) {
            const auto binding = known_binding(each.binding);
            if (!binding) return fail(binding.error());
            watch_job(each.job, (*binding)->binding, each.attempt, each.since);
        }
    }
    for (const auto& [key, agent] : agents_) watch_agent(agent);
    if (std::none_of(notifiers_.begin(), notifiers_.end(), [](const Json& n) { return !n["credentials"].is_null(); })) {
        watches_stale_ = false;
        return {};
    }
    const auto credentials = writer_.read().credentials();
    if (!credentials) return fail(credentials.error());
    for (const CredentialRecord& credential : *credentials) {
        const std::string& text = credential.about["expires"].as_string();
        const auto end = parse_time(text);
        if (text.empty() || !end) continue;
        for (const Json& notifier : notifiers_) {
            if (!hears_of_credential(notifier, credential.name)) continue;
            Watch watch{.notifier = notifier["name"].as_string(), .event = "expiring", .job = 0, .attempt = 0, .agent = 0, .credential = credential.name, .end = text, .since = *end};
            if (listens(notifier, "expiring")) watches_.emplace(*end - span_of(notifier, "expiring", "before", kBefore), watch);
            watch.event = "expired";
            if (listens(notifier, "expired")) watches_.emplace(*end, watch);
        }
    }
    watches_stale_ = false;   // not with half a list
    return {};
}

void CoreImpl::watch_job(JobKey job, const Binding& binding, std::uint32_t attempt, WallTime since)
{
    if (!waits_watched_ || binding.rules.contains("agent")) return;   // a canary is between its caller and its agent
    for (const Json& notifier : notifiers_) {
        if (!is_source(notifier, binding) || !listens(notifier, "waiting")) continue;
        const Milliseconds span = span_of(notifier, "waiting", "for", kWait);
        watches_.emplace(std::max(since + span, loaded_ + std::min(span, kComingBack)),
                         Watch{.notifier = notifier["name"].as_string(), .event = "waiting", .job = job, .attempt = attempt, .agent = 0, .credential = {}, .end = {}, .since = since});
    }
}

void CoreImpl::watch_agent(const Agent& agent)
{
    if (agent.online || !agent.record.last_seen) return;   // one that was never here is not away
    for (const Json& notifier : notifiers_) {
        if (!hears_of(notifier, agent.record) || !listens(notifier, "offline")) continue;
        const Milliseconds span = span_of(notifier, "offline", "for", kWait);
        watches_.emplace(std::max(*agent.record.last_seen + span, loaded_ + std::min(span, kComingBack)),
                         Watch{.notifier = notifier["name"].as_string(), .event = "offline", .job = 0, .attempt = 0, .agent = agent.key, .credential = {}, .end = {},
                               .since = *agent.record.last_seen});
    }
}

Status CoreImpl::tick_watches(WallTime now)
{
    if (watches_stale_)
        if (auto ok = load_watches(); !ok) return ok;
    // A span, not a count: most are of jobs that started long ago, and cost nothing.
    const SteadyTime begun = clock_.steady();
    while (!watches_.empty() && watches_.begin()->first <= now && clock_.steady() - begun < kTurn) {
        const Watch watch = watches_.begin()->second;
        watches_.erase(watches_.begin());
        const auto notifier = std::find_if(notifiers_.begin(), notifiers_.end(), [&](const Json& n) { return n["name"].as_string() == watch.notifier; });
        if (notifier == notifiers_.end()) continue;
        if (auto ok = fire(watch, *notifier, now); !ok) {
            watches_stale_ = true;   // nothing of this turn is stored
            return ok;
        }
    }
    return {};
}

Status CoreImpl::fire(const Watch& watch, const Json& notifier, WallTime now)
{
    if (watch.job != 0) {
        if (active_.contains(watch.job)) return {};
        const auto row = writer_.waiting_job(watch.job);
        if (!row) return row.error().code == Errc::not_found ? Status() : Status(fail(row.error()));   // what made it was not stored
        const auto job = writer_.read().job(row->uid);
        if (!job) return fail(job.error());
        if (job->state != protocol::JobState::ready || row->attempt != watch.attempt) return {};
        const std::string event = fmt::format("waiting/{}", watch.attempt);
        if (writer_.delivery_job(delivery_id(row->uid, watch.notifier, event))) return {};   // told already: asking why costs more
        const auto binding = known_binding(row->binding);
        if (!binding) return fail(binding.error());
        const auto why = why_waiting(*job, watch.job, *binding);
        if (!why) return fail(why.error());
        Json reasons = Json::array();
        std::string text = why->summary;
        for (const WhyReason& reason : why->reasons) {
            if (reasons.size() >= 20) break;
            reasons.push(reason.text);
            if (reason.text != why->summary) text += "\n- " + reason.text;
        }
        const Milliseconds waited = std::chrono::duration_cast<Milliseconds>(std::chrono::floor<std::chrono::seconds>(now - watch.since));
        Json document = document_to_tell(*job, "waiting", now);
        document.set("why", Json::object({{"text", std::move(text)}, {"summary", why->summary}, {"reasons", std::move(reasons)}, {"since", format_time(watch.since)},
                                          {"waited", format_duration(waited)}}));
        return tell(notifier, {.key = row->uid, .event = event, .job = watch.job, .subject = {}, .final = false}, document);
    }
    if (watch.agent != 0) {
        const auto agent = agents_.find(watch.agent);
        if (agent == agents_.end() || agent->second.online || agent->second.record.last_seen != watch.since || agent->second.record.public_key.empty()) return {};
        return tell_agent(agent->second, "offline");
    }
    const auto credential = writer_.read().credential(watch.credential);
    if (!credential) return credential.error().code == Errc::not_found ? Status() : Status(fail(credential.error()));
    if (credential->about["expires"].as_string() != watch.end) return {};
    const Milliseconds left = std::chrono::duration_cast<Milliseconds>(std::chrono::floor<std::chrono::minutes>(watch.since - now));
    const Json document = Json::object(
        {{"event", watch.event}, {"time", format_time(now)},
         {"credential", Json::object({{"name", watch.credential}, {"kind", credential->about["kind"]}, {"environment", credential->about["environment"]}, {"expires", watch.end},
                                      {"left", left.count() > 0 ? format_duration(left) : std::string("0s")}})}});
    return tell(notifier, {.key = fmt::format("credential {} {}", watch.credential, watch.end), .event = watch.event, .job = 0, .subject = "credential/" + watch.credential,
                           .final = true}, document);
}

}  // namespace mill::factory::core
