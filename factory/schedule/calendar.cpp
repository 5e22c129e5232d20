#include "factory/schedule/calendar.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include <fmt/format.h>

#include "platform/base/printable.h"

namespace mill::factory {
namespace {

constexpr std::array<std::string_view, 7> kNames{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

bool is_digits(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }); }

int number_of(std::string_view digits)
{
    int out = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return out;
}

tl::unexpected<Error> no_day(std::string_view text)
{
    return fail(Errc::invalid, fmt::format("'{}' is no day: write 2026-12-24, 12-25 (every year), easter+1, or a range such as 12-27..12-31", one_line(text.substr(0, 60))));
}

}  // namespace

LocalDay easter_of(int year)
{
    // The algorithm of Meeus, Jones and Butcher.
    const int a = year % 19, b = year / 100, c = year % 100, d = b / 4, e = b % 4, g = (8 * b + 13) / 25;
    const int h = (19 * a + b - d - g + 15) % 30, i = c / 4, k = c % 4, l = (32 + 2 * e + 2 * i - h - k) % 7;
    const int m = (a + 11 * h + 19 * l) / 433, month = (h + l - 7 * m + 90) / 25, day = (h + l - 7 * m + 33 * month + 19) % 32;
    return {year, static_cast<unsigned>(month), static_cast<unsigned>(day)};
}

Result<DaysOff::End> DaysOff::parse_end(std::string_view text)
{
    End out;
    std::string_view rest = text;
    if (text.size() == 10 && text[4] == '-') {
        if (!is_digits(text.substr(0, 4))) return no_day(text);
        out.year = number_of(text.substr(0, 4));
        rest = text.substr(5);
        if (out.year < 1970) return no_day(text);
    }
    if (rest.size() != 5 || rest[2] != '-' || !is_digits(rest.substr(0, 2)) || !is_digits(rest.substr(3))) return no_day(text);
    out.month = static_cast<unsigned>(number_of(rest.substr(0, 2)));
    out.day = static_cast<unsigned>(number_of(rest.substr(3)));
    if (out.month < 1 || out.month > 12 || out.day < 1 || out.day > days_in_month(out.year == 0 ? 2000 : out.year, out.month)) return no_day(text);
    return out;
}

Result<DaysOff> DaysOff::parse(std::string_view text)
{
    DaysOff out;
    out.text_ = text;
    if (text.starts_with("easter")) {
        const std::string_view rest = text.substr(6);
        out.easter_ = true;
        if (rest.empty()) return out;
        if ((rest[0] != '+' && rest[0] != '-') || !is_digits(rest.substr(1)) || rest.size() > 4) return no_day(text);
        out.after_easter_ = number_of(rest.substr(1)) * (rest[0] == '-' ? -1 : 1);
        return out;
    }
    const std::size_t dots = text.find("..");
    auto first = parse_end(text.substr(0, dots));
    if (!first) return no_day(text);
    auto last = dots == std::string_view::npos ? first : parse_end(text.substr(dots + 2));
    if (!last || (first->year == 0) != (last->year == 0)) return no_day(text);
    out.first_ = *first;
    out.last_ = *last;
    const auto date = [](const End& end) { return LocalDay{end.year, end.month, end.day}; };
    if (first->year != 0 && date(*last) < date(*first)) return fail(Errc::invalid, fmt::format("'{}' ends before it begins", one_line(text)));
    return out;
}

bool DaysOff::has(LocalDay day) const
{
    if (easter_) return day_number(day) == day_number(easter_of(day.year)) + after_easter_;
    const auto date = [&](const End& end) { return LocalDay{end.year == 0 ? day.year : end.year, end.month, end.day}; };
    const LocalDay first = date(first_), last = date(last_);
    if (first <= last) return first <= day && day <= last;
    return day >= first || day <= last;  // over the turn of the year
}

Result<Calendar> Calendar::make(std::string name, const Json& spec)
{
    Calendar out;
    out.name_ = std::move(name);
    for (const Json& item : spec["weekdays"].as_array()) {
        const std::string word = item.as_string();
        const auto found = std::find_if(kNames.begin(), kNames.end(), [&](std::string_view full) {
            return word.size() >= 3 && full.size() >= word.size() &&
                   std::equal(word.begin(), word.end(), full.begin(), [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b)); });
        });
        if (found == kNames.end()) return fail(Errc::invalid, fmt::format("'{}' is no weekday: sun, mon, tue, wed, thu, fri, sat", one_line(word.substr(0, 60))));
        out.weekdays_.set(static_cast<std::size_t>(found - kNames.begin()));
    }
    for (const Json& item : spec["days"].as_array()) {
        auto day = DaysOff::parse(item.as_string());
        if (!day) return fail(std::move(day.error()));
        out.days_.push_back(std::move(*day));
    }
    return out;
}

std::string Calendar::day_off(LocalDay day) const
{
    for (const DaysOff& days : days_)
        if (days.has(day)) return days.text();
    const unsigned weekday = weekday_of(day);
    return weekdays_[weekday] ? fmt::format("a {}", kNames[weekday]) : std::string();
}

}  // namespace mill::factory
