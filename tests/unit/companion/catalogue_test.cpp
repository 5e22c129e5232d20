#include <catch2/catch.hpp>

#include <cstdlib>

#include "agent/companion/catalogue.h"

using namespace mill::companion;

TEST_CASE("a text is said in the person's language", "[companion][catalogue]")
{
    CHECK(say(Language::english, "consent.later") == "In ten minutes");
    CHECK(say(Language::german, "consent.later") == "In zehn Minuten");
    CHECK(say(Language::german, "notify.consent", {{"asker", "user otto"}, {"title", "Rechnungen"}}) == "user otto möchte „Rechnungen“ ausführen");
    CHECK(say_count(Language::english, "needs", 1) == "1 thing waits for you");
    CHECK(say_count(Language::german, "needs", 12) == "12 Sachen warten auf Sie");
}

TEST_CASE("what an argument holds is never looked at again", "[companion][catalogue]")
{
    CHECK(say(Language::english, "notify.consent", {{"title", "{asker}"}, {"asker", "{title} {"}}) == "{title} { asks to run “{asker}”");
    CHECK(say(Language::english, "running.percent", {}) == "{percent} %");   // a forgotten one is seen, not hidden
}

TEST_CASE("why something was not done is said by its code, and in the agent's words where there are none", "[companion][catalogue]")
{
    using mill::Json;
    const auto refusal = [](const char* code, const char* by = "") { return Json::object({{"code", code}, {"by", by}, {"detail", "in English"}}); };
    CHECK(why_not(Language::german, refusal("answered")) == "Das wurde schon beantwortet.");
    CHECK(why_not(Language::german, refusal("answered", "otto")) == "otto hat das schon beantwortet.");
    CHECK(why_not(Language::german, refusal("over", "otto")) == "Dieser Auftrag ist schon zu Ende.");
    CHECK(why_not(Language::german, refusal("conflict")) == "Das geht jetzt nicht: in English");
    for (const char* other : {"", "invalid_request", "of_a_newer_agent", "answered.by.by"}) CHECK(why_not(Language::german, refusal(other)) == "in English");
    CHECK(why_not(Language::german, Json()).empty());
}

TEST_CASE("a language is known by its first letters, and is English otherwise", "[companion][catalogue]")
{
    for (const char* german : {"de", "de_DE.UTF-8", "de-AT", "de:en", "de@euro"}) CHECK(language_of(german) == Language::german);
    for (const char* english : {"", "C", "C.UTF-8", "en_US.UTF-8", "fr_FR", "den", "POSIX"}) CHECK(language_of(english) == Language::english);
}
