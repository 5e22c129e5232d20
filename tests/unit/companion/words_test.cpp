#include "agent/companion/words.h"

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace mill;
using namespace mill::companion;

TEST_CASE("outside text is one line and cut between characters", "[companion][words]")
{
    CHECK(short_line("plain") == "plain");
    CHECK(short_line("äöüß", 3) == "äöü…");
    CHECK(short_line("äöü", 3) == "äöü");
    CHECK(short_line("a\nb\x1b[31m") == "a b?[31m");
}

TEST_CASE("a duration is said in the unit that a person would use", "[companion][words]")
{
    CHECK(duration_words(Language::english, 20) == "1 s");
    CHECK(duration_words(Language::english, 89'000) == "89 s");
    CHECK(duration_words(Language::english, 120'000) == "2 min");
    CHECK(duration_words(Language::german, 7'200'000) == "2 h");
    CHECK(duration_words(Language::english, 3LL * 86'400'000) == "3 d");
}

TEST_CASE("times are those of this machine's zone", "[companion][words]")
{
    ::setenv("TZ", "Europe/Berlin", 1);
    ::tzset();
    CHECK(time_of_day("2026-11-27T13:05:00Z") == "14:05");
    CHECK(time_of_day("") == "");
    CHECK(time_of_day("nonsense") == "");
}
