#include "factory/schedule/cron.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "platform/base/printable.h"

namespace mill::factory {
namespace {

constexpr std::size_t kMaxText = 500;
constexpr std::array<std::string_view, 7> kWeekdays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};

struct Macro {
    std::string_view word, rule;
};
constexpr std::array<Macro, 7> kMacros{{{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
                                        {"@daily", "0 0 * * *"}, {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"}}};

std::string lower(std::string_view text)
{
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::vector<std::string> split(std::string_view text, char at)
{
    std::vector<std::string> out(1);
    for (const char c : text) {
        if (c == at) out.emplace_back();
        else out.back() += c;
    }
    return out;
}

std::vector<std::string> words_in(std::string_view text)
{
    std::vector<std::string> out;
    bool open = false;
    for (const char c : text) {
        const bool blank = c == ' ' || c == '\t';
        if (!blank && !open) out.emplace_back();
        if (!blank) out.back() += c;
        open = !blank;
    }
    return out;
}

std::optional<int> number_in(std::string_view text)
{
    int out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() && !text.empty() && text[0] != '-' ? std::optional(out) : std::nullopt;
}

/// One field while it is read. Mistakes are thrown away but for the first.
class Field {
public:
    Field(std::string_view name, const std::string& text, int min, int max, std::function<std::optional<int>(std::string_view)> by_name = {})
        : name_(name), text_(text), min_(min), max_(max), by_name_(std::move(by_name))
    {
    }

    /// A value: a number in the bounds, or a name.
    std::optional<int> value(std::string_view text) const
    {
        std::optional<int> found;
        if (by_name_) found = by_name_(text);
        if (!found) found = number_in(text);
        return found && *found >= min_ && *found <= max_ ? found : std::nullopt;
    }

    /// "*", "a", "a-b", each with "/step"; `put` gets every value. False: it is none of these.
    bool range(const std::string& item, const std::function<void(int)>& put)
    {
        const std::size_t slash = item.find('/');
        const std::string head = item.substr(0, slash);
        std::optional<int> step = 1;
        if (slash != std::string::npos) step = number_in(std::string_view(item).substr(slash + 1));
        if (!step || *step < 1) return mistake(item, "the step after '/' is a whole number from 1");
        int first = min_, last = max_;
        if (head != "*" && head != "?") {
            const std::size_t dash = head.find('-');
            const auto from = value(std::string_view(head).substr(0, dash));
            const auto to = dash == std::string::npos ? from : value(std::string_view(head).substr(dash + 1));
            if (!from || !to) return false;
            first = *from;
            last = dash == std::string::npos && slash != std::string::npos ? max_ : *to;
        }
        if (first > last) {  // fri-mon, 22-3
            const int size = max_ - min_ + 1;
            for (int at = first; at <= last + size; at += *step) put(at > max_ ? at - size : at);
        } else {
            for (int at = first; at <= last; at += *step) put(at);
        }
        return true;
    }

    bool mistake(const std::string& item, std::string_view what)
    {
        if (error_.empty()) error_ = fmt::format("'{}' in the {} field: {}", one_line(item), name_, what);
        return false;
    }
    void no_value(const std::string& item, std::string_view names = {})
    {
        mistake(item, fmt::format("there stand {} to {}{}, *, ranges (a-b), steps (*/n, a-b/n) and lists of these with commas", min_, max_, names));
    }
    const std::string& text() const { return text_; }
    const std::string& error() const { return error_; }

private:
    const std::string_view name_;
    const std::string text_;
    const int min_, max_;
    const std::function<std::optional<int>(std::string_view)> by_name_;
    std::string error_;
};

template <std::size_t size>
std::optional<int> named(const std::array<std::string_view, size>& names, std::string_view text, int first)
{
    const auto found = std::find(names.begin(), names.end(), text);
    return found == names.end() ? std::nullopt : std::optional(static_cast<int>(found - names.begin()) + first);
}

template <std::size_t size>
std::string read_plain(Field field, std::bitset<size>& out, std::string_view names = {})
{
    for (const std::string& item : split(field.text(), ','))
        if (!field.range(item, [&](int at) { out.set(static_cast<std::size_t>(at)); })) field.no_value(item, names);
    return field.error();
}

bool is_any(const std::string& text) { return text == "?" || text[0] == '*'; }

}  // namespace

std::int64_t day_number(LocalDay day)
{
    // Days from civil, proleptic Gregorian: years begin in March, so that the odd day is the last.
    const std::int64_t year = day.year - (day.month <= 2 ? 1 : 0), era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t year_of_era = year - era * 400, month = (static_cast<std::int64_t>(day.month) + 9) % 12;
    const std::int64_t day_of_year = (153 * month + 2) / 5 + static_cast<std::int64_t>(day.day) - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

LocalDay day_of_number(std::int64_t number)
{
    number += 719468;
    const std::int64_t era = (number >= 0 ? number : number - 146096) / 146097, of_era = number - era * 146097;
    const std::int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    LocalDay out;
    out.day = static_cast<unsigned>(of_year - (153 * month + 2) / 5 + 1);
    out.month = static_cast<unsigned>(month < 10 ? month + 3 : month - 9);
    out.year = static_cast<int>(year + era * 400 + (out.month <= 2 ? 1 : 0));
    return out;
}

unsigned days_in_month(int year, unsigned month)
{
    constexpr std::array<unsigned, 12> days{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

unsigned weekday_of(LocalDay day)
{
    return static_cast<unsigned>(((day_number(day) + 4) % 7 + 7) % 7);
}

LocalDay next_day(LocalDay day)
{
    if (++day.day <= days_in_month(day.year, day.month)) return day;
    day.day = 1;
    if (++day.month > 12) {
        day.month = 1;
        ++day.year;
    }
    return day;
}

Result<CronRule> CronRule::parse(std::string_view text)
{
    if (text.size() > kMaxText) return fail(Errc::invalid, fmt::format("a cron expression of more than {} characters", kMaxText));
    std::vector<std::string> fields = words_in(lower(text));
    if (fields.size() == 1 && fields[0].starts_with('@')) {
        const auto macro = std::find_if(kMacros.begin(), kMacros.end(), [&](const Macro& one) { return one.word == fields[0]; });
        if (macro == kMacros.end())
            return fail(Errc::invalid, fmt::format("'{}' is none of @yearly, @monthly, @weekly, @daily, @hourly (for an interval write every: 15m)", one_line(fields[0])));
        fields = words_in(macro->rule);
    }
    if (fields.size() != 5 && fields.size() != 6)
        return fail(Errc::invalid, fmt::format("'{}' has {} fields: it needs five (minute, hour, day of the month, month, day of the week), or six with seconds first",
                                               one_line(text.substr(0, 100)), fields.size()));
    if (fields.size() == 5) fields.insert(fields.begin(), "0");

    CronRule out;
    const auto weekday = [](std::string_view word) -> std::optional<int> {
        return word == "7" ? std::optional(0) : named(kWeekdays, word, 0);
    };
    const auto month = [](std::string_view word) { return named(kMonths, word, 1); };
    std::string error = read_plain(Field("seconds", fields[0], 0, 59), out.seconds_);
    if (error.empty()) error = read_plain(Field("minute", fields[1], 0, 59), out.minutes_);
    if (error.empty()) error = read_plain(Field("hour", fields[2], 0, 23), out.hours_);
    if (error.empty()) error = read_plain(Field("month", fields[4], 1, 12, month), out.months_, " or jan to dec");
    if (!error.empty()) return fail(Errc::invalid, error);
    out.names_hours_ = !is_any(fields[2]);
    out.any_day_ = is_any(fields[3]);
    out.any_weekday_ = is_any(fields[5]);

    Field days("day of the month", fields[3], 1, 31);
    for (const std::string& item : split(days.text(), ',')) {
        if (item == "lw" || item == "wl") out.last_working_day_ = true;
        else if (item == "l") out.before_last_.push_back(0);
        else if (const auto before = item.starts_with("l-") ? number_in(item.substr(2)) : std::nullopt; before && *before <= 30) out.before_last_.push_back(*before);
        else if (const auto near = item.ends_with('w') ? days.value(item.substr(0, item.size() - 1)) : std::nullopt; near) out.nearest_.push_back(static_cast<unsigned>(*near));
        else if (!days.range(item, [&](int at) { out.days_.set(static_cast<std::size_t>(at)); })) days.no_value(item, ", L, L-n, nW, LW");
    }
    if (!days.error().empty()) return fail(Errc::invalid, days.error());

    Field week("day of the week", fields[5], 0, 6, weekday);
    for (std::string item : split(week.text(), ',')) {
        const std::size_t mark = item.find('#');
        if (mark != std::string::npos) {
            const auto day = week.value(item.substr(0, mark));
            const auto which = number_in(item.substr(mark + 1));
            if (day && which && *which >= 1 && *which <= 5) out.nths_.push_back({static_cast<unsigned>(*day), *which});
            else week.mistake(item, "before '#' stands a day, behind it which of the month's: 1 to 5");
            continue;
        }
        if (item.size() > 1 && item.ends_with('l'))
            if (const auto day = week.value(item.substr(0, item.size() - 1)); day) {
                out.nths_.push_back({static_cast<unsigned>(*day), -1});
                continue;
            }
        if (item.size() > 2 && item.ends_with("-7")) item.back() = '6', out.weekdays_.set(0);  // 5-7: Friday to Sunday
        if (!week.range(item, [&](int at) { out.weekdays_.set(static_cast<std::size_t>(at)); })) week.no_value(item, " (7 is Sunday, too) or sun to sat, friL, fri#2");
    }
    if (!week.error().empty()) return fail(Errc::invalid, week.error());
    return out;
}

bool CronRule::on(LocalDay day) const
{
    if (!months_[day.month]) return false;
    if (any_day_ || any_weekday_) return (on_day_of_month(day)) && (on_weekday(day));
    return on_day_of_month(day) || on_weekday(day);
}

bool CronRule::on_day_of_month(LocalDay day) const
{
    if (days_[day.day]) return true;
    const unsigned last = days_in_month(day.year, day.month);
    for (const int before : before_last_)
        if (static_cast<int>(day.day) == static_cast<int>(last) - before) return true;
    const auto working = [&](unsigned wanted) {  // the working day nearest to it, in the same month
        const unsigned weekday = weekday_of({day.year, day.month, wanted});
        if (weekday == 6) return wanted > 1 ? wanted - 1 : wanted + 2;
        if (weekday == 0) return wanted < last ? wanted + 1 : wanted - 2;
        return wanted;
    };
    for (const unsigned wanted : nearest_)
        if (wanted <= last && working(wanted) == day.day) return true;
    if (!last_working_day_) return false;
    const unsigned weekday = weekday_of({day.year, day.month, last});
    return day.day == last - (weekday == 6 ? 1 : weekday == 0 ? 2 : 0);
}

bool CronRule::on_weekday(LocalDay day) const
{
    const unsigned weekday = weekday_of(day);
    if (weekdays_[weekday]) return true;
    for (const Nth& nth : nths_) {
        if (nth.weekday != weekday) continue;
        if (nth.which > 0 ? (day.day - 1) / 7 + 1 == static_cast<unsigned>(nth.which) : day.day + 7 > days_in_month(day.year, day.month)) return true;
    }
    return false;
}

std::vector<int> CronRule::times() const
{
    std::vector<int> out;
    for (int at = first_from(0); at >= 0; at = first_from(at + 1)) out.push_back(at);
    return out;
}

int CronRule::first_from(int from) const
{
    if (from >= 86400) return -1;
    const auto hour = static_cast<std::size_t>(from / 3600), minute = static_cast<std::size_t>(from / 60 % 60), second = static_cast<std::size_t>(from % 60);
    for (std::size_t h = hour; h < 24; ++h) {
        if (!hours_[h]) continue;
        for (std::size_t m = h == hour ? minute : 0; m < 60; ++m) {
            if (!minutes_[m]) continue;
            for (std::size_t s = h == hour && m == minute ? second : 0; s < 60; ++s)
                if (seconds_[s]) return static_cast<int>((h * 60 + m) * 60 + s);
        }
    }
    return -1;
}

}  // namespace mill::factory
