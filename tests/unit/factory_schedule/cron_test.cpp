#include <catch2/catch.hpp>

#include <random>

#include "factory/schedule/calendar.h"
#include "factory/schedule/cron.h"

using namespace mill;
using namespace mill::factory;

namespace {

CronRule rule(const std::string& text)
{
    auto parsed = CronRule::parse(text);
    INFO(text << ": " << (parsed ? std::string() : parsed.error().what));
    REQUIRE(parsed);
    return *parsed;
}

std::string mistake(const std::string& text)
{
    auto parsed = CronRule::parse(text);
    CAPTURE(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == Errc::invalid);
    return parsed.error().what;
}

/// The days of a month on which it fires.
std::vector<unsigned> days(const std::string& text, int year, unsigned month)
{
    const CronRule read = rule(text);
    std::vector<unsigned> out;
    for (unsigned day = 1; day <= days_in_month(year, month); ++day)
        if (read.on({year, month, day})) out.push_back(day);
    return out;
}

using Days = std::vector<unsigned>;

}  // namespace

TEST_CASE("days are counted as calendars count them", "[schedule]")
{
    CHECK(day_number({1970, 1, 1}) == 0);
    CHECK(day_number({2000, 3, 1}) == 11017);
    CHECK(weekday_of({1970, 1, 1}) == 4);
    CHECK(weekday_of({2026, 11, 27}) == 5);
    LocalDay day{1599, 12, 25};
    for (std::int64_t number = day_number(day); number < day_number({2405, 1, 1}); ++number, day = next_day(day)) {
        REQUIRE(day_of_number(number) == day);
        REQUIRE(day_number(day) == number);
    }
    CHECK((days_in_month(1900, 2) == 28 && days_in_month(2000, 2) == 29 && days_in_month(2024, 2) == 29 && days_in_month(2100, 2) == 28));
    // From the tables of the church.
    for (const LocalDay easter : {LocalDay{2024, 3, 31}, {2025, 4, 20}, {2026, 4, 5}, {2027, 3, 28}, {2038, 4, 25}, {1961, 4, 2}, {2285, 3, 22}}) CHECK(easter_of(easter.year) == easter);
}

TEST_CASE("cron: fields, names, ranges, steps, lists", "[schedule]")
{
    CHECK(rule("30 6 * * *").times() == std::vector<int>{6 * 3600 + 30 * 60});
    CHECK(rule("0 */6 * * *").times() == std::vector<int>{0, 6 * 3600, 12 * 3600, 18 * 3600});
    CHECK(rule("0/20 1 * * *").times() == std::vector<int>{3600, 4800, 6000});
    CHECK(rule("0 22-1 * * *").times() == std::vector<int>{0, 3600, 22 * 3600, 23 * 3600});
    CHECK(rule("*/20 0 12 * * *").times() == std::vector<int>{43200, 43220, 43240});
    CHECK(rule("5,1-2 0 0 * * *").times() == std::vector<int>{1, 2, 5});
    CHECK(rule("@hourly").times().size() == 24);
    CHECK(rule("* * * * * *").times().size() == 86400);
    CHECK(rule("0 9 1 1 *").first_from(9 * 3600 + 1) == -1);
    CHECK(days("0 0 * * mon-fri", 2026, 11) == Days{2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20, 23, 24, 25, 26, 27, 30});
    CHECK(days("0 0 ? * FRI-Mon", 2026, 11) == Days{1, 2, 6, 7, 8, 9, 13, 14, 15, 16, 20, 21, 22, 23, 27, 28, 29, 30});
    CHECK(days("0 0 * * 7", 2026, 11) == days("0 0 * * sun", 2026, 11));
    CHECK(days("0 0 * * 5-7", 2026, 11) == days("0 0 * * fri,sat,0", 2026, 11));
    CHECK(days("0 0 * * 0-7", 2026, 11).size() == 30);
    CHECK(days("0 0 1 dec *", 2026, 11).empty());
    CHECK(days("0 0 1 Oct-Dec *", 2026, 11) == Days{1});
    // Both kinds of day: either will do, unless one of them begins with a star.
    CHECK(days("0 0 13 * fri", 2026, 11) == Days{6, 13, 20, 27});
    CHECK(days("0 0 */2 * fri", 2026, 11) == Days{13, 27});
    CHECK(days("0 0 10 * *", 2026, 11) == Days{10});
}

TEST_CASE("cron: last days, working days, second Fridays", "[schedule]")
{
    CHECK(days("0 0 L * *", 2024, 2) == Days{29});
    CHECK(days("0 0 L-2 * *", 2026, 11) == Days{28});
    CHECK(days("0 0 LW * *", 2026, 1) == Days{30});    // the 31st is a Saturday
    CHECK(days("0 0 lw * *", 2026, 5) == Days{29});    // the 31st is a Sunday
    CHECK(days("0 0 15W * *", 2026, 11) == Days{16});  // a Sunday
    CHECK(days("0 0 1W * *", 2026, 8) == Days{3});     // a Saturday, and the month is not left
    CHECK(days("0 0 31W * *", 2026, 5) == Days{29});
    CHECK(days("0 0 31W * *", 2026, 11).empty());
    CHECK(days("0 0 * * fri#2", 2026, 11) == Days{13});
    CHECK(days("0 0 * * 1#5", 2026, 11) == Days{30});
    CHECK(days("0 0 * * 1#5", 2026, 12).empty());
    CHECK(days("0 0 * * friL", 2026, 11) == Days{27});
    CHECK(days("0 0 * 11 0L", 2026, 11) == Days{29});
    CHECK(days("0 0 1,L * *", 2026, 11) == Days{1, 30});
}

TEST_CASE("cron: what is wrong is named with its field", "[schedule]")
{
    CHECK_THAT(mistake("* * * *"), Catch::Contains("4 fields") && Catch::Contains("five"));
    CHECK_THAT(mistake(""), Catch::Contains("0 fields"));
    CHECK_THAT(mistake("60 * * * *"), Catch::Contains("'60' in the minute field") && Catch::Contains("0 to 59"));
    CHECK_THAT(mistake("0 24 * * *"), Catch::Contains("hour"));
    CHECK_THAT(mistake("0 0 0 * *"), Catch::Contains("day of the month") && Catch::Contains("LW"));
    CHECK_THAT(mistake("0 0 * foo *"), Catch::Contains("'foo' in the month field") && Catch::Contains("jan"));
    CHECK_THAT(mistake("0 0 * * funday"), Catch::Contains("'funday' in the day of the week field"));
    CHECK_THAT(mistake("*/0 * * * *"), Catch::Contains("step"));
    CHECK_THAT(mistake("0 0 * * fri#6"), Catch::Contains("1 to 5"));
    CHECK_THAT(mistake("@fortnightly"), Catch::Contains("@fortnightly") && Catch::Contains("@weekly"));
    CHECK_THAT(mistake("@every 5m"), Catch::Contains("fields"));
    for (const char* bad : {"-1 * * * *", "1- * * * *", "-5 0 * * *", ",1 * * * *", "1,,2 * * * *", "0 0 L-31 * *", "0 0 W * *", "0 0 32W * *", "0 0 * * L", "0 0 * * #2",
                            "1/ * * * *", "1//2 * * * *", "9999999999 * * * *", "\x01 * * * *", "0 0 * * 8", "0 0 * * 1#2#3"})
        CHECK_FALSE(mistake(bad).empty());
    CHECK_THAT(mistake(std::string(501, '*')), Catch::Contains("500"));
}

TEST_CASE("calendars: dates, ranges, weekdays, Easter", "[schedule]")
{
    const auto calendar = [](const char* spec) { return Calendar::make("c", *parse_json(spec)); };
    const auto holidays = calendar(R"({"weekdays":["sat","Sunday"],"days":["12-25","2026-11-27","12-27..01-02","easter+1","easter-2","2027-02-01..2027-02-03"]})").value();
    CHECK(holidays.day_off({2026, 11, 28}) == "a Saturday");
    CHECK(holidays.day_off({2026, 11, 27}) == "2026-11-27");
    CHECK(holidays.day_off({2029, 11, 27}).empty());
    CHECK(holidays.day_off({2029, 12, 25}) == "12-25");
    CHECK(holidays.day_off({2028, 12, 29}) == "12-27..01-02");
    CHECK(holidays.day_off({2029, 1, 2}) == "12-27..01-02");
    CHECK(holidays.day_off({2029, 1, 3}).empty());
    CHECK(holidays.day_off({2026, 4, 6}) == "easter+1");
    CHECK(holidays.day_off({2026, 4, 3}) == "easter-2");
    CHECK(holidays.day_off({2026, 4, 7}).empty());
    CHECK(holidays.day_off({2027, 2, 3}) == "2027-02-01..2027-02-03");
    CHECK(holidays.day_off({2027, 2, 4}).empty());
    for (const char* bad : {"12-32", "02-30", "2026-02-29", "13-01", "1-1", "2026-12-01..12-24", "2026-12-24..2026-12-01", "easter+", "easter1", "..", "12-01..", "tomorrow", "0000-12-01"}) {
        const auto made = calendar(("{\"days\":[\"" + std::string(bad) + "\"]}").c_str());
        CAPTURE(bad);
        REQUIRE_FALSE(made);
        CHECK_THAT(made.error().what, Catch::Contains(bad));
    }
    CHECK(calendar(R"({"days":["02-29"]})"));
    CHECK_FALSE(calendar(R"({"weekdays":["someday"]})"));
}
