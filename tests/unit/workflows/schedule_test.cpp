#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include "workflows/cron.h"

using namespace mill;
using namespace mill::testing;

namespace {

std::string words(const std::string& schedule) { return findings(*lone("schedule: " + schedule + "\ndo: [ { a: { set: { n: 1 } } } ]")); }

}  // namespace

TEST_CASE("a cron expression is five fields of numbers, ranges, lists, steps and names", "[workflows][schedule]")
{
    for (const char* good : {"* * * * *", "0 0 1 1 0", "59 23 31 12 7", "*/5 8-18 * * 1-5", "0,30 6 1,15 * *", "0 6 * jan-mar MON,fri", "10-50/10 * * * *", " 0\t6  * * * "}) {
        INFO(good);
        CHECK(workflows::check_cron(good));
    }
    const auto wrong = [](const char* text) { return workflows::check_cron(text).error().what; };
    CHECK_THAT(wrong("* * * *"), Catch::Contains("five fields") && Catch::Contains("not 4"));
    CHECK_THAT(wrong("0 0 * * * *"), Catch::Contains("not 6"));
    CHECK_THAT(wrong(""), Catch::Contains("not 0"));
    CHECK_THAT(wrong("@daily"), Catch::Contains("@daily") && Catch::Contains("five fields"));
    CHECK_THAT(wrong("60 * * * *"), Catch::Contains("the minute '60'") && Catch::Contains("0 to 59"));
    CHECK_THAT(wrong("0 24 * * *"), Catch::Contains("the hour '24'"));
    CHECK_THAT(wrong("0 0 0 * *"), Catch::Contains("the day of the month '0'") && Catch::Contains("1 to 31"));
    CHECK_THAT(wrong("0 0 * 13 *"), Catch::Contains("the month '13'"));
    CHECK_THAT(wrong("0 0 * juli *"), Catch::Contains("the month 'juli'"));
    CHECK_THAT(wrong("0 0 * * 8"), Catch::Contains("the day of the week '8'"));
    CHECK_THAT(wrong("0 0 * * mon-"), Catch::Contains("the day of the week 'mon-'"));
    CHECK_THAT(wrong("30-10 * * * *"), Catch::Contains("backwards"));
    CHECK_THAT(wrong("*/0 * * * *"), Catch::Contains("step"));
    CHECK_THAT(wrong("5/10 * * * *"), Catch::Contains("no range"));
    CHECK_THAT(wrong("1,,2 * * * *"), Catch::Contains("the minute ''"));
    CHECK_THAT(wrong("-1 * * * *"), Catch::Contains("the minute '-1'"));
}

TEST_CASE("a schedule is exactly one of every, cron and after, checked when it is loaded", "[workflows][schedule]")
{
    CHECK(words("{ every: { minutes: 5 } }").empty());
    CHECK(words("{ every: PT5M }").empty());
    CHECK(words("{ after: { hours: 1 } }").empty());
    CHECK(words("{ cron: '*/5 * * * *' }").empty());
    CHECK_THAT(words("{ cron: '* * * 13 *' }"), Catch::Contains("flow.yaml:2:") && Catch::Contains("the month '13'"));
    CHECK_THAT(words("{ cron: 5 }"), Catch::Contains("schedule.cron must be a string"));
    CHECK_THAT(words("{ every: { minutes: 5 }, cron: '* * * * *' }"), Catch::Contains("exactly one"));
    CHECK_THAT(words("{}"), Catch::Contains("exactly one"));
    CHECK_THAT(words("{ every: { minutes: 0 } }"), Catch::Contains("longer than nothing"));
    CHECK_THAT(words("{ every: '${ .x }' }"), Catch::Contains("no data for an expression"));
    CHECK_THAT(words("{ on: { any: [] } }"), Catch::Contains("'schedule.on' is not supported: use a Trigger"));
    CHECK_THAT(words("{ at: noon }"), Catch::Contains("schedule has no 'at'"));
}
