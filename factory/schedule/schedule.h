// factory/schedule/schedule.h -- when a trigger of type schedule fires: cron or interval, in a zone, without its days off.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "factory/schedule/calendar.h"
#include "factory/schedule/zone.h"

namespace mill::factory {

struct Firing {
    WallTime due;            ///< as the rule says; names this firing, once and for all
    WallTime at;             ///< when it happens: later by its share of the jitter
    std::string skipped;     ///< a day off: "2026-12-25 is a day off in 'holidays' (12-25)"; nothing happens
};

class Schedule {
public:
    /// `spec`: a Trigger's `schedule` {cron or every, timezone, calendars: [NAME…], jitter, start?, end?} in normal form. `calendar`: the spec of a
    /// Calendar, null when there is none of that name. `seed`: what the jitter of each firing is made of, with its time; the trigger's name.
    /// Errors: invalid (says what), conflict (no such calendar), unavailable (no time zones on this machine).
    static Result<Schedule> make(const Json& spec, const std::function<Json(std::string_view)>& calendar, std::string seed);

    /// The first one that is due after `time`, skipped or not; nothing after its `end`. Costs some microseconds.
    std::optional<Firing> next(WallTime time) const;
    const Zone& zone() const { return zone_; }

private:
    explicit Schedule(Zone zone) : zone_(std::move(zone)) {}
    std::optional<WallTime> due_after(WallTime time) const;
    std::optional<WallTime> cron_after(WallTime time) const;
    std::optional<WallTime> first_on(LocalDay day, WallTime after) const;

    Zone zone_;
    std::optional<CronRule> cron_;
    Milliseconds every_{0}, jitter_{0};
    WallTime start_;
    std::optional<WallTime> end_;
    std::vector<Calendar> calendars_;
    std::string seed_;
};

/// "2026-03-29T03:00:00+02:00"
std::string format_in_zone(const Zone& zone, WallTime time);

}  // namespace mill::factory
