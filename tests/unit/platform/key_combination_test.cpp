#include "platform/key_combination.h"

#include <catch2/catch.hpp>

using namespace mill;
using namespace mill::platform;

TEST_CASE("keys are read in any order and spelling, and written in one", "[platform][keys]")
{
    for (const char* text : {"Ctrl+Alt+Pause", "ctrl+alt+pause", "ALT+Control+PAUSE"}) {
        const auto keys = parse_key_combination(text);
        REQUIRE(keys);
        CHECK(keys->control);
        CHECK(keys->alt);
        CHECK_FALSE(keys->shift);
        CHECK(keys->symbol == 0xff13);
        CHECK(format_key(*keys) == "Ctrl+Alt+Pause");
        CHECK(portal_trigger(*keys) == "CTRL+ALT+Pause");
    }
    CHECK(parse_key_combination("Super+Shift+s")->symbol == 's');
    CHECK(portal_trigger(*parse_key_combination("Super+Shift+S")) == "SHIFT+LOGO+s");
    CHECK(portal_trigger(*parse_key_combination("Ctrl+PageUp")) == "CTRL+Prior");
    CHECK(parse_key_combination("F12")->symbol == 0xffc9);
    CHECK(parse_key_combination("f1")->symbol == 0xffbe);
    CHECK(parse_key_combination("Pause"));
}

TEST_CASE("what is no combination of keys is refused with what may stand there", "[platform][keys]")
{
    for (const char* text : {"", "Ctrl", "Ctrl+", "+", "Ctrl+Ctrl+A", "Ctrl+A+B", "Hyper+A", "F0", "F25", "F99999999999999999999", "Ctrl+Alt+Stop", "Ctrl++"}) {
        const auto keys = parse_key_combination(text);
        INFO(text);
        REQUIRE_FALSE(keys);
        CHECK(keys.error().code == Errc::invalid);
        CHECK_THAT(keys.error().what, Catch::Contains("Ctrl+Alt+Pause"));
    }
}

TEST_CASE("a key that people type with never stops everything by itself", "[platform][keys]")
{
    for (const char* text : {"A", "Shift+A", "Escape", "Space", "Shift+Delete"}) {
        INFO(text);
        const auto keys = parse_key_combination(text);
        REQUIRE_FALSE(keys);
        CHECK_THAT(keys.error().what, Catch::Contains("needs Ctrl, Alt or Super"));
    }
}
