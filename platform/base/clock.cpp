#include "platform/base/clock.h"

#include <ctime>

#include <charconv>
#include <fmt/format.h>

namespace mill {
namespace {

/// Days since 1970-01-01 of a Gregorian date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
std::int64_t days_from_civil(std::int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2 ? 1 : 0;
    const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
    const auto yoe = static_cast<unsigned>(y - era * 400);
    const unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    const unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + static_cast<std::int64_t>(doe) - 719468;
}

int days_in(int year, int month)
{
    constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

class SystemClock : public Clock {
public:
    WallTime now() const override
    {
        timespec time{};
        clock_gettime(CLOCK_REALTIME, &time);
        return {static_cast<std::int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1000};
    }
    SteadyTime steady() const override
    {
        timespec time{};
#ifdef CLOCK_BOOTTIME
        clock_gettime(CLOCK_BOOTTIME, &time);
#else
        clock_gettime(CLOCK_MONOTONIC, &time);
#endif
        return {static_cast<std::int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1000};
    }
    bool sleep(Milliseconds duration, std::stop_token stop) const override
    {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        wake.wait_for(lock, stop, duration, [] { return false; });
        return !stop.stop_requested();
    }
};

}  // namespace

std::string format_time(WallTime time)
{
    std::int64_t seconds = time.microseconds / 1'000'000;
    std::int64_t rest = time.microseconds % 1'000'000;
    if (rest < 0) {
        rest += 1'000'000;
        --seconds;
    }
    const std::time_t whole = seconds;
    std::tm parts{};
    gmtime_r(&whole, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                       parts.tm_hour, parts.tm_min, parts.tm_sec, rest);
}

Result<WallTime> parse_time(std::string_view text)
{
    const auto wrong = [&] { return fail(Errc::invalid, fmt::format("'{}' is no time of RFC 3339", text)); };
    const auto digits = [&](std::size_t at, std::size_t count, int& out) {
        if (at + count > text.size()) return false;
        const char* end = text.data() + at + count;
        return std::from_chars(text.data() + at, end, out).ptr == end && text[at] != '-';
    };
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    if (text.size() < 20 || !digits(0, 4, year) || text[4] != '-' || !digits(5, 2, month) || text[7] != '-' ||
        !digits(8, 2, day) || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || !digits(11, 2, hour) ||
        text[13] != ':' || !digits(14, 2, minute) || text[16] != ':' || !digits(17, 2, second))
        return wrong();
    if (month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60) return wrong();
    std::size_t at = 19;
    std::int64_t micros = 0;
    if (text[at] == '.') {
        std::int64_t scale = 100'000;
        if (at + 1 >= text.size() || text[at + 1] < '0' || text[at + 1] > '9') return wrong();
        for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) micros += (text[at] - '0') * scale;
    }
    std::int64_t offset = 0;
    if (at < text.size() && (text[at] == 'Z' || text[at] == 'z')) {
        ++at;
    } else if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
        int hours = 0, minutes = 0;
        if (!digits(at + 1, 2, hours) || at + 3 >= text.size() || text[at + 3] != ':' || !digits(at + 4, 2, minutes) ||
            hours > 23 || minutes > 59)
            return wrong();
        offset = (text[at] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
        at += 6;
    } else {
        return wrong();
    }
    if (at != text.size()) return wrong();
    const std::int64_t days = days_from_civil(year, static_cast<unsigned>(month), static_cast<unsigned>(day));
    return WallTime{(days * 86400 + hour * 3600 + minute * 60 + second - offset) * 1'000'000 + micros};
}

Result<Milliseconds> parse_duration(std::string_view text)
{
    const auto wrong = [&] {
        return fail(Errc::invalid, fmt::format("'{}' is no duration; write 250ms, 60s, 10m, 2h, 1d or 1h30m", text));
    };
    std::string_view rest = text;
    std::int64_t total = 0;
    if (rest.empty()) return wrong();
    while (!rest.empty()) {
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
        if (error != std::errc() || number < 0 || number > 1'000'000'000) return wrong();
        rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
        std::int64_t unit = 0;
        if (rest.starts_with("ms")) unit = 1;
        else if (rest.starts_with("s")) unit = 1000;
        else if (rest.starts_with("m")) unit = 60'000;
        else if (rest.starts_with("h")) unit = 3'600'000;
        else if (rest.starts_with("d")) unit = 86'400'000;
        else return wrong();
        rest.remove_prefix(unit == 1 ? 2 : 1);
        total += number * unit;
        if (total > 3'153'600'000'000) return wrong();  // a hundred years
    }
    return Milliseconds(total);
}

std::string format_duration(Milliseconds duration)
{
    std::int64_t rest = duration.count();
    if (rest == 0) return "0s";
    std::string out;
    if (rest < 0) {
        out = "-";
        rest = -rest;
    }
    const std::pair<std::int64_t, const char*> units[] = {{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1000, "s"}, {1, "ms"}};
    for (const auto& [size, unit] : units) {
        if (rest >= size) out += fmt::format("{}{}", rest / size, unit);
        rest %= size;
    }
    return out;
}

Clock& system_clock()
{
    static SystemClock clock;
    return clock;
}

WallTime FakeClock::now() const
{
    const std::scoped_lock lock(mutex_);
    return wall_;
}

SteadyTime FakeClock::steady() const
{
    const std::scoped_lock lock(mutex_);
    return steady_;
}

bool FakeClock::sleep(Milliseconds duration, std::stop_token stop) const
{
    if (stop.stop_requested()) return false;
    const std::scoped_lock lock(mutex_);
    wall_ = wall_ + duration;
    steady_ = steady_ + duration;
    return true;
}

void FakeClock::advance(Microseconds duration)
{
    const std::scoped_lock lock(mutex_);
    wall_ = wall_ + duration;
    steady_ = steady_ + duration;
}

}  // namespace mill
