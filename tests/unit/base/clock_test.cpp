#include <catch2/catch.hpp>

#include <thread>

#include "platform/base/clock.h"

using namespace mill;
using namespace std::chrono_literals;

TEST_CASE("a time is written and read back to the microsecond", "[base][clock]")
{
    for (const char* text : {"1970-01-01T00:00:00.000000Z", "2026-11-22T13:40:01.123456Z", "2024-02-29T23:59:59.999999Z", "1969-12-31T23:59:59.500000Z", "9999-12-31T23:59:59.000000Z"})
        CHECK(format_time(*parse_time(text)) == text);
    CHECK(parse_time("1970-01-01T00:00:01Z")->microseconds == 1'000'000);
}

TEST_CASE("offsets, short and long fractions are understood", "[base][clock]")
{
    CHECK(format_time(*parse_time("2026-11-22T13:40:01+02:00")) == "2026-11-22T11:40:01.000000Z");
    CHECK(format_time(*parse_time("2026-11-22t13:40:01.5-00:30")) == "2026-11-22T14:10:01.500000Z");
    CHECK(format_time(*parse_time("2026-11-22 13:40:01.1234567899Z")) == "2026-11-22T13:40:01.123456Z");
}

TEST_CASE("what is no time is refused", "[base][clock]")
{
    for (const char* text : {"", "now", "2026-11-22", "2026-11-22T13:40:01", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T13:40:01.Z",
                             "2026-11-22T13:40:01+0200", "2026-11-22T13:40:01+25:00", "2026-11-22T13:40:01Zx", "-026-11-22T13:40:01Z", "2026-11-22T13:-1:01Z", "2026-11-22T13:40:01."}) {
        INFO(text);
        CHECK_FALSE(parse_time(text));
    }
}

TEST_CASE("durations are read and written in people's units", "[base][clock]")
{
    CHECK(*parse_duration("250ms") == 250ms);
    CHECK(*parse_duration("1h30m") == 90min);
    CHECK(*parse_duration("1d") == 24h);
    CHECK(*parse_duration("0s") == 0ms);
    CHECK(format_duration(60s) == "1m");
    CHECK(format_duration(5400s) == "1h30m");
    CHECK(format_duration(0ms) == "0s");
    CHECK(format_duration(1500ms) == "1s500ms");
    for (const char* text : {"", "5", "s", "-5s", "5x", "5 s", "1.5s", "99999999999d", "5sm", "9999999999999999999999s"}) {
        INFO(text);
        CHECK_FALSE(parse_duration(text));
    }
}

TEST_CASE("the machine's clock goes forward and a sleep ends at a stop", "[base][clock]")
{
    const SteadyTime before = system_clock().steady();
    CHECK(system_clock().sleep(2ms, {}));
    CHECK((system_clock().steady() - before) >= 2ms);
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    CHECK_FALSE(system_clock().sleep(1min, stop.get_token()));
}

TEST_CASE("a fake clock stands until it is moved", "[base][clock]")
{
    FakeClock clock;
    const WallTime before = clock.now();
    CHECK(clock.now() == before);
    clock.advance(5s);
    CHECK(clock.now() - before == 5s);
    CHECK(clock.sleep(1h, {}));
    CHECK(clock.now() - before == 1h + 5s);
}
