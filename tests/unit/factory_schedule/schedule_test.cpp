#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <random>

#include <fmt/format.h>

#include "factory/schedule/schedule.h"

using namespace mill;
using namespace mill::factory;

namespace {

Result<Schedule> make(const std::string& json, const std::string& calendar = "null")
{
    return Schedule::make(*parse_json(json), [calendar](std::string_view name) { return name == "holidays" ? *parse_json(calendar) : Json(); }, "t");
}

Schedule cron(const std::string& rule, const std::string& zone = "Europe/Berlin")
{
    auto made = make(fmt::format(R"({{"cron":"{}","timezone":"{}"}})", rule, zone));
    INFO(rule << " " << (made ? std::string() : made.error().what));
    REQUIRE(made);
    return std::move(*made);
}

WallTime at(const std::string& text) { return parse_time(text).value(); }

/// The next `count` firings, in the zone.
std::vector<std::string> firings(const Schedule& schedule, const std::string& after, int count)
{
    std::vector<std::string> out;
    WallTime time = at(after);
    for (int i = 0; i < count; ++i) {
        const auto next = schedule.next(time);
        if (!next) break;
        out.push_back(format_in_zone(schedule.zone(), next->due));
        time = next->due;
    }
    return out;
}

using Times = std::vector<std::string>;

}  // namespace

TEST_CASE("a working day's morning, winter and summer", "[schedule]")
{
    CHECK(firings(cron("30 6 * * mon-fri"), "2026-03-26T06:00:00Z", 3) == Times{"2026-03-27T06:30:00+01:00", "2026-03-30T06:30:00+02:00", "2026-03-31T06:30:00+02:00"});
    CHECK(firings(cron("0 0 29 2 *", "UTC"), "2096-03-01T00:00:00Z", 2) == Times{"2104-02-29T00:00:00+00:00", "2108-02-29T00:00:00+00:00"});
    CHECK_FALSE(cron("0 0 30 2 *").next(at("2026-01-01T00:00:00Z")));
    // Not the moment itself, but the one behind it.
    CHECK(firings(cron("0 12 * * *", "UTC"), "2026-01-01T12:00:00Z", 1) == Times{"2026-01-02T12:00:00+00:00"});
    CHECK(firings(cron("0 12 * * *", "UTC"), "2026-01-01T11:59:59.999999Z", 1) == Times{"2026-01-01T12:00:00+00:00"});
}

TEST_CASE("the hour that does not exist, in Berlin on 29 March 2026", "[schedule]")
{
    // Named: at the end of the gap, once.
    CHECK(firings(cron("30 2 * * *"), "2026-03-28T00:00:00Z", 3) == Times{"2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"});
    CHECK(firings(cron("0,20,40 2 * * *"), "2026-03-28T23:00:00Z", 3) == Times{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00", "2026-03-30T02:20:00+02:00"});
    CHECK(firings(cron("0 2,3 * * *"), "2026-03-28T23:00:00Z", 2) == Times{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"});
    // Every hour or so: by real time.
    CHECK(firings(cron("30 * * * *"), "2026-03-29T00:00:00Z", 3) == Times{"2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-29T04:30:00+02:00"});
}

TEST_CASE("the hour that comes twice, in Berlin on 25 October 2026 and in New York on 1 November", "[schedule]")
{
    CHECK(firings(cron("30 2 * * *"), "2026-10-24T12:00:00Z", 2) == Times{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"});
    CHECK(firings(cron("30 * * * *"), "2026-10-24T23:45:00Z", 3) == Times{"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"});
    CHECK(firings(cron("30 1 * * *", "America/New_York"), "2026-11-01T00:00:00Z", 2) == Times{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"});
    // Asked from within the second of the two hours it is not found again.
    CHECK(firings(cron("30 2 * * *"), "2026-10-25T01:10:00Z", 1) == Times{"2026-10-26T02:30:00+01:00"});
}

TEST_CASE("odd zones: half an hour, a gap at midnight, a day that was left out", "[schedule]")
{
    CHECK(firings(cron("15 2 * * *", "Australia/Lord_Howe"), "2026-10-03T00:00:00Z", 2) == Times{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"});
    CHECK(firings(cron("0 0 * * *", "Asia/Beirut"), "2026-03-28T00:00:00Z", 2) == Times{"2026-03-29T01:00:00+03:00", "2026-03-30T00:00:00+03:00"});
    CHECK(firings(cron("0 12 * * *", "Pacific/Apia"), "2011-12-29T12:00:00Z", 3) == Times{"2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"});
    CHECK(firings(cron("0 9 * * *", "Asia/Kathmandu"), "2026-01-01T00:00:00Z", 1) == Times{"2026-01-01T09:00:00+05:45"});
}

TEST_CASE("far ahead clocks still change", "[schedule]")
{
    CHECK(firings(cron("0 12 1 1,7 *"), "2035-12-01T00:00:00Z", 4) == Times{"2036-01-01T12:00:00+01:00", "2036-07-01T12:00:00+02:00", "2037-01-01T12:00:00+01:00", "2037-07-01T12:00:00+02:00"});
}

TEST_CASE("intervals stand on their own feet, whenever the factory was started", "[schedule]")
{
    const Schedule often = make(R"({"every":"90s"})").value();
    CHECK(firings(often, "2026-01-01T00:00:10Z", 2) == Times{"2026-01-01T00:01:30+00:00", "2026-01-01T00:03:00+00:00"});
    const Schedule between = make(R"({"every":"1h","start":"2026-01-01T00:10:00Z","end":"2026-01-01T02:10:00Z"})").value();
    CHECK(firings(between, "2025-12-01T00:00:00Z", 9) == Times{"2026-01-01T00:10:00+00:00", "2026-01-01T01:10:00+00:00", "2026-01-01T02:10:00+00:00"});
}

TEST_CASE("a day off takes a firing away and says why", "[schedule]")
{
    const Schedule schedule = make(R"({"cron":"0 8 * * *","timezone":"Europe/Berlin","calendars":["holidays"]})", R"({"weekdays":["sun"],"days":["12-25"]})").value();
    const auto christmas = schedule.next(at("2026-12-25T00:00:00Z"));
    REQUIRE(christmas);
    CHECK(christmas->skipped == "2026-12-25 is a day off in 'holidays' (12-25)");
    CHECK(schedule.next(christmas->due)->skipped.empty());
    CHECK_THAT(schedule.next(at("2026-12-26T12:00:00Z"))->skipped, Catch::Contains("a Sunday"));
    // The day is the zone's, not Greenwich's.
    const Schedule late = make(R"({"cron":"30 23 * * *","timezone":"America/New_York","calendars":["holidays"]})", R"({"days":["12-25"]})").value();
    CHECK_FALSE(late.next(at("2026-12-26T00:00:00Z"))->skipped.empty());
    const auto none = make(R"({"cron":"0 8 * * *","timezone":"UTC","calendars":["nowhere"]})");
    REQUIRE_FALSE(none);
    CHECK_THAT(none.error().what, Catch::Contains("nowhere"));
}

TEST_CASE("jitter is within its bound and always the same", "[schedule]")
{
    const Schedule schedule = make(R"({"every":"1m","jitter":"30s"})").value();
    WallTime time = at("2026-01-01T00:00:00Z");
    Microseconds least{30'000'000}, most{0};
    for (int i = 0; i < 500; ++i) {
        const auto next = schedule.next(time);
        REQUIRE(next);
        const Microseconds late = next->at - next->due;
        REQUIRE((late >= Microseconds(0) && late < Microseconds(30'000'000)));
        CHECK(schedule.next(time)->at == next->at);
        least = std::min(least, late);
        most = std::max(most, late);
        time = next->due;
    }
    CHECK((least < Microseconds(3'000'000) && most > Microseconds(27'000'000)));
}

TEST_CASE("what is wrong with a schedule is said", "[schedule]")
{
    const auto what = [](const char* spec) {
        auto made = make(spec);
        REQUIRE_FALSE(made);
        return made.error().what;
    };
    CHECK_THAT(what(R"({"cron":"0 8 * * *","timezone":"Europe/Berln"})"), Catch::Contains("did you mean 'Europe/Berlin'"));
    CHECK_THAT(what(R"({"cron":"61 8 * * *","timezone":"UTC"})"), Catch::Contains("minute"));
    CHECK_THAT(what(R"({"every":"10ms"})"), Catch::Contains("1s"));
}

TEST_CASE("against a plain walk through the minutes, around every change of clocks", "[schedule]")
{
    std::mt19937 random(7);
    const auto some = [&](int bound) { return static_cast<int>(random() % static_cast<unsigned>(bound)); };
    const std::vector<std::string> zones{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "America/Santiago"};
    for (int round = 0; round < 150; ++round) {
        const std::string zone_name = zones[static_cast<std::size_t>(some(static_cast<int>(zones.size())))];
        const bool named = some(2) == 0;
        const std::string rule = fmt::format("{} {} * * {}", some(2) == 0 ? fmt::format("{},{}", some(30), 30 + some(30)) : "*/7", named ? fmt::format("{}-{}", some(3), 3 + some(3)) : "*/2",
                                             some(2) == 0 ? "*" : fmt::format("{}", some(7)));
        const Schedule schedule = cron(rule, zone_name);
        const CronRule read = CronRule::parse(rule).value();
        const std::vector<int> times = read.times();
        const WallTime begin = at(fmt::format("2026-{:02}-{:02}T00:00:00Z", 3 + some(9), 1 + some(26)));
        std::vector<WallTime> expected, found;
        const std::int64_t minutes = 4 * 24 * 60;
        std::int64_t before = schedule.zone().local(begin).seconds;
        for (std::int64_t i = 1; i <= minutes; ++i) {
            const WallTime now{begin.microseconds + i * 60'000'000};
            const std::int64_t local = schedule.zone().local(now).seconds;
            const auto fits = [&](std::int64_t seconds) {
                return read.on(day_of_number(seconds / 86400)) && std::find(times.begin(), times.end(), static_cast<int>(seconds % 86400)) != times.end();
            };
            bool fires = fits(local);
            if (named) {
                if (local > before + 60)  // a gap: what lay in it
                    for (std::int64_t skipped = before + 60; skipped < local; skipped += 60) fires = fires || fits(skipped);
                const auto twice = schedule.zone().instants({local});
                if (twice.size() == 2 && twice[1] == now) fires = false;
            }
            if (fires) expected.push_back(now);
            before = local;
        }
        for (WallTime time = begin;;) {
            const auto next = schedule.next(time);
            if (!next || next->due > WallTime{begin.microseconds + minutes * 60'000'000}) break;
            found.push_back(next->due);
            time = next->due;
        }
        INFO(rule << " in " << zone_name << " from " << format_time(begin));
        REQUIRE(found == expected);
    }
}
