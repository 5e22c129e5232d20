// Triggers that fire by themselves: each time is decided once, in the transaction that makes its job, and what came of it is kept.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/log.h"

namespace mill::factory::core {
namespace {

constexpr int kMostAtOnce = 100;          // jobs of one schedule in one tick
constexpr std::size_t kMostWaiting = 1000;
constexpr std::uint64_t kMostCounted = 20'000;   // of missed times: some milliseconds of the writer's thread

WallTime later(WallTime time, Milliseconds by) { return time + std::chrono::duration_cast<Microseconds>(by); }

}  // namespace

Status CoreImpl::load_schedules()
{
    Reader& read = writer_.read();
    const auto triggers = read.documents("Trigger");
    if (!triggers) return fail(triggers.error());
    std::map<std::string, KnownSchedule> before = std::exchange(schedules_, {});
    for (const Document& document : *triggers) {
        if (document.spec["type"].as_string() != "schedule") continue;
        const Json& spec = document.spec["schedule"];
        std::string rule = dump_json(spec);
        std::map<std::string, Json, std::less<>> calendars;
        for (const Json& name : spec["calendars"].as_array())
            if (const auto found = read.document("Calendar", name.as_string())) {
                rule += "\n" + dump_json(found->spec);
                calendars.emplace(name.as_string(), found->spec);
            }
        if (const auto same = before.find(document.uid); same != before.end() && same->second.rule == rule) {
            schedules_.emplace(document.uid, std::move(same->second));
            continue;
        }
        auto made = Schedule::make(spec, [&](std::string_view name) {
            const auto found = calendars.find(name);
            return found == calendars.end() ? Json() : found->second;
        }, document.name);
        if (!made) {  // checked when it was saved: the machine's time zones changed, or an older store
            log::error("schedule", "trigger '{}' cannot fire: {}", document.name, made.error().what);
            continue;
        }
        const auto kept = writer_.schedule(document.uid);
        if (!kept) return fail(kept.error());
        auto waiting = writer_.waiting_firings(document.uid);
        if (!waiting) return fail(waiting.error());
        auto open = writer_.open_firings(document.uid);
        if (!open) return fail(open.error());
        // Another rule counts from when it was written: what it would have done before that, nobody asked for.
        const bool same_rule = *kept && (*kept)->rule == rule;
        const WallTime considered = !*kept ? document.changed : same_rule ? (*kept)->considered : std::max((*kept)->considered, document.changed);
        KnownSchedule known{.trigger = document.name, .uid = document.uid, .rule = std::move(rule), .schedule = std::move(*made),
                            .catch_up = parse_duration(spec["catchUp"].as_string()).value_or(Milliseconds(3'600'000)), .overlap = spec["overlap"].as_string(),
                            .considered = considered, .kept = same_rule, .next = {}, .open = std::move(*open), .waiting = std::move(*waiting)};
        known.next = known.schedule.next(considered);
        schedules_.emplace(document.uid, std::move(known));
    }
    std::int64_t first = 0;
    for (const auto& [uid, schedule] : schedules_)
        if (schedule.next && (first == 0 || schedule.next->at.microseconds < first)) first = schedule.next->at.microseconds;
    next_firing_ = first;
    return {};
}

Status CoreImpl::tick_schedules(WallTime now)
{
    std::int64_t first = 0;
    for (auto& [uid, schedule] : schedules_) {
        const WallTime before = schedule.considered;
        if (!schedule.waiting.empty())
            if (auto ok = fire_waiting(schedule, now); !ok) return ok;
        if (schedule.next && later(schedule.next->at, schedule.catch_up) < now)
            if (auto ok = miss(schedule, now); !ok) return ok;
        for (int i = 0; i < kMostAtOnce && schedule.next && schedule.next->at <= now; ++i) {
            const Firing firing = *schedule.next;
            if (auto ok = decide(schedule, firing, now); !ok) return ok;
            schedule.considered = firing.due;
            schedule.next = schedule.schedule.next(firing.due);
        }
        if (schedule.considered != before || !schedule.kept) {
            if (auto ok = writer_.put_schedule(schedule.uid, {schedule.rule, schedule.considered}); !ok) return ok;
            schedule.kept = true;
        }
        if (schedule.next && (first == 0 || schedule.next->at.microseconds < first)) first = schedule.next->at.microseconds;
    }
    next_firing_ = first;
    return {};
}

/// Nobody was here for longer than is made up for: one line says how many.
Status CoreImpl::miss(KnownSchedule& schedule, WallTime now)
{
    const WallTime first = schedule.next->due;
    FiringRecord record{.due = first, .at = schedule.next->at, .outcome = FiringOutcome::missed, .job = {}, .why = {}, .decided = now, .times = 0};
    while (schedule.next && later(schedule.next->at, schedule.catch_up) < now && record.times < kMostCounted) {
        if (schedule.next->skipped.empty()) ++record.times;
        record.due = schedule.next->due;
        record.at = schedule.next->at;
        schedule.next = schedule.schedule.next(record.due);
    }
    schedule.considered = record.due;
    const bool more = record.times == kMostCounted;
    if (more) {
        schedule.considered = now - std::chrono::duration_cast<Microseconds>(schedule.catch_up);
        schedule.next = schedule.schedule.next(schedule.considered);
    }
    if (record.times == 0) return {};  // days off, all of them
    const Zone& zone = schedule.schedule.zone();
    record.why = fmt::format("the factory did not run then, and makes up for no more than {} (catchUp): {}", format_duration(schedule.catch_up),
                             record.times == 1 ? "once" : fmt::format("{}{} times, from {} to {}", more ? "more than " : "", record.times, format_in_zone(zone, first), format_in_zone(zone, more ? schedule.considered : record.due)));
    return record_firing(schedule, record);
}

Status CoreImpl::record_firing(const KnownSchedule& schedule, const FiringRecord& record)
{
    if (auto ok = writer_.put_firing(schedule.uid, record); !ok) return ok;
    Json detail = Json::object({{"due", format_time(record.due)}});
    if (!record.job.empty()) detail.set("job", record.job);
    return feed({.time = record.decided, .kind = "schedule", .subject = "Trigger/" + schedule.trigger, .what = std::string(name(record.outcome)), .agent = {},
                 .reason = record.why, .detail = std::move(detail)});
}

Result<std::vector<std::string>> CoreImpl::open_jobs(KnownSchedule& schedule)
{
    std::vector<std::string> still;
    for (const std::string& uid : schedule.open) {
        if (active_of(uid) != nullptr) {
            still.push_back(uid);
            continue;
        }
        const auto job = writer_.read().job(uid);
        if (!job && job.error().code != Errc::not_found) return fail(job.error());
        if (job && !protocol::is_final(job->state)) still.push_back(uid);
    }
    schedule.open = still;
    return still;
}

Status CoreImpl::decide(KnownSchedule& schedule, const Firing& firing, WallTime now)
{
    FiringRecord record{.due = firing.due, .at = firing.at, .outcome = FiringOutcome::skipped, .job = {}, .why = firing.skipped, .decided = now};
    if (!record.why.empty()) return record_firing(schedule, record);
    const auto document = writer_.read().document("Trigger", schedule.trigger);
    if (!document) return fail(document.error());
    if (document->spec["paused"].as_bool()) {
        const std::string& why = document->spec["pausedWhy"].as_string();
        record.why = fmt::format("the trigger is paused{}{}", why.empty() ? "" : ": ", why);
        return record_firing(schedule, record);
    }
    const auto open = open_jobs(schedule);
    if (!open) return fail(open.error());
    const std::string& overlap = schedule.overlap;
    if (overlap == "allow-all" || (open->empty() && schedule.waiting.empty())) return fire(schedule, record, document->spec, now);
    const std::string running = open->empty() ? std::string("one that waits") : fmt::format("job {}", open->front());
    if (overlap == "skip" || overlap.empty()) {
        record.why = fmt::format("{} of before has not ended (overlap: skip)", running);
        return record_firing(schedule, record);
    }
    if (overlap == "cancel-other" || overlap == "terminate-other") {
        for (const std::string& uid : *open)
            if (auto ok = cancel_one(uid, fmt::format("the schedule fires again (overlap: {})", overlap), {fmt::format("schedule {}", schedule.trigger), {}}); !ok) return ok;
        if (overlap == "terminate-other") return fire(schedule, record, document->spec, now);
        for (FiringRecord& other : std::exchange(schedule.waiting, {})) {
            other.outcome = FiringOutcome::skipped;
            other.why = "the next one took its place (overlap: cancel-other)";
            other.decided = now;
            if (auto ok = record_firing(schedule, other); !ok) return ok;
        }
    }
    const std::size_t most = overlap == "buffer-all" ? kMostWaiting : 1;
    if (schedule.waiting.size() >= most) {
        record.why = fmt::format("{} has not ended, and {} wait behind it already (overlap: {})", running, schedule.waiting.size(), overlap);
        return record_firing(schedule, record);
    }
    record.outcome = FiringOutcome::waiting;
    record.why = fmt::format("{} of before has not ended (overlap: {})", running, overlap);
    schedule.waiting.push_back(record);
    return record_firing(schedule, record);
}

Status CoreImpl::fire_waiting(KnownSchedule& schedule, WallTime now)
{
    const auto open = open_jobs(schedule);
    if (!open) return fail(open.error());
    if (!open->empty()) return {};
    FiringRecord record = schedule.waiting.front();
    schedule.waiting.erase(schedule.waiting.begin());
    const auto document = writer_.read().document("Trigger", schedule.trigger);
    if (!document) return fail(document.error());
    return fire(schedule, std::move(record), document->spec, now);
}

Status CoreImpl::fire(KnownSchedule& schedule, FiringRecord record, const Json& spec, WallTime now)
{
    record.decided = now;
    record.why.clear();
    const auto binding = binding_for_job(schedule.trigger);
    if (!binding && binding.error().code != Errc::conflict && binding.error().code != Errc::not_found) return fail(binding.error());
    if (!binding) {
        record.outcome = FiringOutcome::failed;
        record.why = binding.error().what;
        log::warning("schedule", "trigger '{}' made no job at {}: {}", schedule.trigger, format_time(record.due), record.why);
        return record_firing(schedule, record);
    }
    const Json& rules = (*binding)->binding.rules;
    const Json context = Json::object({{"schedule", Json::object({{"trigger", schedule.trigger}, {"due", format_in_zone(schedule.schedule.zone(), record.due)}})}});
    NewJob job{.uid = {}, .binding = 0, .priority = rules["priority"].is_integer() ? static_cast<int>(rules["priority"].as_integer()) : 50,
               .requested_by = "schedule " + schedule.trigger, .retry_of = {}, .created = {}, .expires = {}, .input = dump_json(spec["input"]), .context = dump_json(context)};
    if (const auto usual = parse_duration(rules["expiration"].as_string()); usual) job.expires = now + *usual;
    auto made = make_job(*binding, std::move(job), spec["input"]);
    if (!made) return fail(made.error());
    record.outcome = FiringOutcome::started;
    record.job = made->job.uid;
    schedule.open.push_back(record.job);
    return record_firing(schedule, record);
}

std::string CoreImpl::schedule_words(const std::string& trigger) const
{
    for (const auto& [uid, schedule] : schedules_) {
        if (schedule.trigger != trigger) continue;
        if (!schedule.next) return "its schedule has come to its end: it does not fire any more";
        const std::string when = format_in_zone(schedule.schedule.zone(), schedule.next->due);
        return schedule.next->skipped.empty() ? fmt::format("it fires next at {}", when) : fmt::format("its next time is {}, which it skips: {}", when, schedule.next->skipped);
    }
    return {};
}

}  // namespace mill::factory::core
