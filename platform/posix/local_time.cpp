#include "platform/local_time.h"

#include <ctime>

namespace mill::platform {

LocalTime local_time(WallTime time)
{
    const std::time_t seconds = time.microseconds >= 0 ? time.microseconds / 1'000'000 : (time.microseconds - 999'999) / 1'000'000;
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    return {parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, (parts.tm_wday + 6) % 7, parts.tm_hour * 60 + parts.tm_min};
}

WallTime from_local(int year, int month, int day, int minute)
{
    std::tm parts{};
    parts.tm_year = year - 1900;
    parts.tm_mon = month - 1;
    parts.tm_mday = day;
    parts.tm_hour = minute / 60;
    parts.tm_min = minute % 60;
    parts.tm_isdst = -1;
    return {static_cast<std::int64_t>(std::mktime(&parts)) * 1'000'000};
}

WallTime next_day(WallTime now)
{
    const LocalTime local = local_time(now);
    return from_local(local.year, local.month, local.day + 1, 0);
}

}  // namespace mill::platform
