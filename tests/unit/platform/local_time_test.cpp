#include <cstdlib>
#include <ctime>

#include <catch2/catch.hpp>

#include "platform/local_time.h"

using namespace mill;

namespace {

struct Zone {
    explicit Zone(const char* name)
    {
        setenv("TZ", name, 1);
        tzset();
    }
    ~Zone()
    {
        unsetenv("TZ");
        tzset();
    }
};

WallTime utc(const char* text) { return *parse_time(text); }

}  // namespace

TEST_CASE("wall time as the clock on the wall shows it, and back", "[local_time]")
{
    const Zone zone("Europe/Berlin");
    const auto winter = platform::local_time(utc("2026-11-27T11:30:59Z"));
    CHECK(winter.year == 2026);
    CHECK(winter.month == 11);
    CHECK(winter.day == 27);
    CHECK(winter.weekday == 4);   // a Friday
    CHECK(winter.minute == 12 * 60 + 30);
    CHECK(platform::from_local(2026, 11, 27, 12 * 60 + 30) == utc("2026-11-27T11:30:00Z"));
    CHECK(platform::from_local(2026, 7, 1, 12 * 60) == utc("2026-07-01T10:00:00Z"));
    SECTION("a day beyond the month and a minute beyond the day go on")
    {
        CHECK(platform::from_local(2026, 11, 31, 0) == utc("2026-11-30T23:00:00Z"));
        CHECK(platform::from_local(2026, 12, 31, 25 * 60) == utc("2027-01-01T00:00:00Z"));
        CHECK(platform::from_local(2026, 12, 0, 60) == utc("2026-11-30T00:00:00Z"));
    }
    SECTION("the next day begins at midnight, also behind a night of 25 hours")
    {
        CHECK(platform::next_day(utc("2026-11-27T22:59:00Z")) == utc("2026-11-27T23:00:00Z"));
        CHECK(platform::next_day(utc("2026-11-27T23:00:00Z")) == utc("2026-11-28T23:00:00Z"));
        CHECK(platform::next_day(utc("2026-10-24T22:30:00Z")) == utc("2026-10-25T23:00:00Z"));
    }
    SECTION("a day of 25 hours ends where the next one begins")
    {
        CHECK(platform::from_local(2026, 10, 26, 0) - platform::from_local(2026, 10, 25, 0) == Microseconds(25LL * 3600 * 1'000'000));
    }
}
