// factory/schedule/calendar.h -- days off: dates of one year or of all, ranges, weekdays, days that follow Easter.
#pragma once

#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "factory/schedule/cron.h"
#include "platform/base/json.h"

namespace mill::factory {

/// One written day: "2026-12-24", "12-25" (of every year), "easter+1" (western Easter, minus works, too), and two of the first two kinds with
/// ".." between them, the last one included ("2026-12-24..2027-01-02", "12-27..12-31", "12-27..01-02").
class DaysOff {
public:
    static Result<DaysOff> parse(std::string_view text);
    bool has(LocalDay day) const;
    const std::string& text() const { return text_; }

private:
    struct End {
        int year = 0;              ///< 0: of every year
        unsigned month = 1, day = 1;
    };
    static Result<End> parse_end(std::string_view text);
    End first_, last_;
    bool easter_ = false;
    int after_easter_ = 0;
    std::string text_;
};

/// The spec of a Calendar: {weekdays: ["sat", "sun"], days: ["12-25", …]}, as its kind's reader leaves it.
class Calendar {
public:
    static Result<Calendar> make(std::string name, const Json& spec);
    /// Why it is a day off, such as "a Saturday" or "12-25"; empty when it is none.
    std::string day_off(LocalDay day) const;
    const std::string& name() const { return name_; }

private:
    std::string name_;
    std::bitset<7> weekdays_;
    std::vector<DaysOff> days_;
};

LocalDay easter_of(int year);   ///< Gregorian, the western churches'

}  // namespace mill::factory
