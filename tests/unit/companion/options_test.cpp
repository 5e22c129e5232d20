#include "agent/companion/options.h"

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace mill;
using namespace mill::companion;

TEST_CASE("the companion's options are read in both spellings and refused by name", "[companion][options]")
{
    const auto options = parse_options({"--data", "/a/../b", "--config=/c.yaml", "--with-agent", "--autostart"});
    REQUIRE(options);
    CHECK(options->data == "/b");
    CHECK(options->config == "/c.yaml");
    CHECK(options->with_agent);
    CHECK(options->autostart);
    ::setenv("XDG_DATA_HOME", "/share", 1);
    CHECK(parse_options({})->data == "/share/millwright/agent");
    for (const auto& [words, what] : std::initializer_list<std::pair<std::vector<std::string>, const char*>>{
             {{"--dta", "x"}, "'--dta'"}, {{"--data"}, "--data needs a value"}, {{"--data="}, "--data is empty"}, {{"--data", "a", "--data", "b"}, "--data is said twice"}, {{"run"}, "'run'"}}) {
        const auto wrong = parse_options(words);
        REQUIRE_FALSE(wrong);
        CHECK(wrong.error().code == Errc::invalid);
        CHECK_THAT(wrong.error().what, Catch::Contains(what));
    }
    CHECK(parse_options({"--data", "x", "--help"})->command == Options::Command::help);
}
