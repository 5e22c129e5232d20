// factory/schedule/cron.h -- a cron expression: five fields, or six with seconds first; names, ranges, steps, lists, L, W, #.
#pragma once

#include <bitset>
#include <string_view>
#include <vector>

#include "platform/base/result.h"

namespace mill::factory {

struct LocalDay {
    int year = 1970;
    unsigned month = 1, day = 1;  ///< from 1
    auto operator<=>(const LocalDay&) const = default;
};

/// Minute, hour, day of the month, month, day of the week, as crontab(5) has them: when both kinds of day are restricted, either will do.
/// Beside that: `L` (last day of the month), `L-3`, `15W` (the working day nearest to the 15th), `LW`, `fri#2` (second Friday), `friL` (last Friday);
/// @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly. Ranges may wrap (`fri-mon`).
class CronRule {
public:
    /// Errors: invalid, naming the field, what stands there and what may.
    static Result<CronRule> parse(std::string_view text);

    bool on(LocalDay day) const;
    /// Seconds after midnight at which it fires on such a day, ascending; at least one.
    std::vector<int> times() const;
    /// The first of `times` that is `from` or later; -1: none.
    int first_from(int from) const;
    /// It names its hours: then a day has it as often as it says, whatever the clocks do.
    bool names_hours() const { return names_hours_; }

private:
    struct Nth {
        unsigned weekday = 0;
        int which = 0;     ///< 1 to 5; -1: the last
    };
    bool on_day_of_month(LocalDay day) const;
    bool on_weekday(LocalDay day) const;

    std::bitset<60> seconds_, minutes_;
    std::bitset<24> hours_;
    std::bitset<32> days_;
    std::bitset<13> months_;
    std::bitset<7> weekdays_;             // 0: Sunday
    std::vector<unsigned> nearest_;       // W
    std::vector<int> before_last_;        // L-n
    std::vector<Nth> nths_;
    bool last_working_day_ = false;
    bool any_day_ = false, any_weekday_ = false, names_hours_ = true;
};

unsigned days_in_month(int year, unsigned month);
unsigned weekday_of(LocalDay day);        ///< 0: Sunday
LocalDay next_day(LocalDay day);
std::int64_t day_number(LocalDay day);    ///< days since 1970-01-01
LocalDay day_of_number(std::int64_t number);

}  // namespace mill::factory
