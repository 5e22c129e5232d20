#include "factory/schedule/schedule.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

namespace mill::factory {
namespace {

constexpr std::int64_t kDay = 86'400, kMicro = 1'000'000;
constexpr int kMostDays = 366 * 12;   // a 29th of February may be eight years away, on the first of a century's years

LocalDay day_of(LocalTime local)
{
    return day_of_number(local.seconds >= 0 ? local.seconds / kDay : (local.seconds - kDay + 1) / kDay);
}

/// FNV-1a: the same on every machine and in every version.
std::uint64_t hash_of(std::string_view text)
{
    std::uint64_t out = 14695981039346656037ULL;
    for (const char c : text) out = (out ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    return out ^ (out >> 32);
}

std::string format_day(LocalDay day) { return fmt::format("{:04}-{:02}-{:02}", day.year, day.month, day.day); }

}  // namespace

std::string format_in_zone(const Zone& zone, WallTime time)
{
    const LocalTime local = zone.local(time);
    const std::int64_t utc = time.microseconds / kMicro, offset = (local.seconds - utc) / 60, of_day = ((local.seconds % kDay) + kDay) % kDay;
    return fmt::format("{}T{:02}:{:02}:{:02}{}{:02}:{:02}", format_day(day_of(local)), of_day / 3600, of_day / 60 % 60, of_day % 60, offset < 0 ? '-' : '+',
                       std::abs(offset) / 60, std::abs(offset) % 60);
}

Result<Schedule> Schedule::make(const Json& spec, const std::function<Json(std::string_view)>& calendar, std::string seed)
{
    auto zone = Zone::find(spec.contains("timezone") ? spec["timezone"].as_string() : "UTC");
    if (!zone) return fail(std::move(zone.error()));
    Schedule out(std::move(*zone));
    out.seed_ = std::move(seed);
    if (spec.contains("cron")) {
        auto rule = CronRule::parse(spec["cron"].as_string());
        if (!rule) return fail(std::move(rule.error()));
        out.cron_ = std::move(*rule);
    } else {
        auto every = parse_duration(spec["every"].as_string());
        if (!every) return fail(std::move(every.error()));
        if (*every < Milliseconds(1000)) return fail(Errc::invalid, "an interval is at least 1s");
        out.every_ = *every;
    }
    if (spec.contains("jitter")) {
        auto jitter = parse_duration(spec["jitter"].as_string());
        if (!jitter) return fail(std::move(jitter.error()));
        out.jitter_ = *jitter;
    }
    if (spec.contains("start")) {
        auto start = parse_time(spec["start"].as_string());
        if (!start) return fail(std::move(start.error()));
        out.start_ = *start;
    }
    if (spec.contains("end")) {
        auto end = parse_time(spec["end"].as_string());
        if (!end) return fail(std::move(end.error()));
        out.end_ = *end;
    }
    for (const Json& item : spec["calendars"].as_array()) {
        const Json found = calendar(item.as_string());
        if (found.is_null()) return fail(Errc::conflict, fmt::format("there is no Calendar '{}'", item.as_string()));
        auto made = Calendar::make(item.as_string(), found);
        if (!made) return fail(std::move(made.error()));
        out.calendars_.push_back(std::move(*made));
    }
    return out;
}

std::optional<Firing> Schedule::next(WallTime time) const
{
    const auto due = due_after(time);
    if (!due) return std::nullopt;
    Firing out{*due, *due, {}};
    if (jitter_.count() > 0) {
        const std::uint64_t share = hash_of(fmt::format("{}@{}", seed_, due->microseconds)) % static_cast<std::uint64_t>(jitter_.count());
        out.at = *due + Milliseconds(static_cast<std::int64_t>(share));
    }
    const LocalDay day = day_of(zone_.local(*due));
    for (const Calendar& calendar : calendars_)
        if (const std::string why = calendar.day_off(day); !why.empty() && out.skipped.empty())
            out.skipped = fmt::format("{} is a day off in '{}' ({})", format_day(day), calendar.name(), why);
    return out;
}

std::optional<WallTime> Schedule::due_after(WallTime time) const
{
    time = std::max(time, start_ - Microseconds(1));
    std::optional<WallTime> due;
    if (cron_) {
        due = cron_after(time);
    } else {
        const std::int64_t step = std::chrono::duration_cast<Microseconds>(every_).count(), since = time.microseconds - start_.microseconds;
        due = start_ + Microseconds(since < 0 ? 0 : (since / step + 1) * step);  // from `start`, else from 1970: a restart moves nothing
    }
    return due && end_ && *due > *end_ ? std::nullopt : due;
}

std::optional<WallTime> Schedule::cron_after(WallTime time) const
{
    LocalDay day = day_of_number(day_number(day_of(zone_.local(time))) - 1);  // what a gap moved may belong to the day before
    for (int i = 0; i < kMostDays; ++i, day = next_day(day))
        if (cron_->on(day))
            if (auto found = first_on(day, time)) return found;
    return std::nullopt;
}

/// Daylight saving, as Debian's cron has it: what names its hours happens once a day, at the end of a gap and in the first of two equal hours;
/// what has `*` for its hours goes by real time: nothing in a gap, and in both of two equal hours.
std::optional<WallTime> Schedule::first_on(LocalDay day, WallTime after) const
{
    const LocalTime midnight{day_number(day) * kDay};
    const std::vector<WallTime> starts = zone_.instants(midnight);
    const auto whole = [](std::int64_t seconds) { return Microseconds(seconds * kMicro); };
    if (starts.size() == 1 && zone_.is_steady(starts[0], starts[0] + whole(kDay))) {
        const std::int64_t since = after < starts[0] ? 0 : (after.microseconds - starts[0].microseconds) / kMicro + 1;
        const int at = since >= kDay ? -1 : cron_->first_from(static_cast<int>(since));
        return at < 0 ? std::nullopt : std::optional(starts[0] + whole(at));
    }
    std::optional<WallTime> best;
    const auto consider = [&](WallTime instant) {
        if (instant > after && (!best || instant < *best)) best = instant;
    };
    for (const int at : cron_->times()) {
        const LocalTime local{midnight.seconds + at};
        const std::vector<WallTime> instants = zone_.instants(local);
        if (instants.empty()) {
            if (cron_->names_hours()) consider(zone_.after_gap(local));
        } else {
            consider(instants[0]);
            if (instants.size() == 2 && !cron_->names_hours()) consider(instants[1]);
        }
    }
    return best;
}

}  // namespace mill::factory
