// The person's face in a terminal: forms from schemas and what is listed; the whole program is in tests/integration/attend_test.py.
#include "agent/attend/form.h"
#include "agent/attend/person_words.h"

#include <deque>

#include <catch2/catch.hpp>

using namespace mill;
using namespace mill::agent;

namespace {

Json parsed(const char* text)
{
    auto json = parse_json(text);
    REQUIRE(json);
    return *json;
}

/// A person who types these lines.
struct Typist {
    std::deque<std::string> lines;
    std::string seen;
    std::vector<std::string> hidden;   ///< prompts of what is not shown

    Dialogue dialogue()
    {
        Dialogue out;
        out.print = [this](const std::string& text) { seen += text; };
        out.read = [this](const std::string& prompt, bool secret) -> Result<std::string> {
            seen += prompt + "\n";
            if (secret) hidden.push_back(prompt);
            if (lines.empty()) return fail(Errc::cancelled, "the input has ended");
            std::string line = lines.front();
            lines.pop_front();
            return line;
        };
        return out;
    }
};

Json filled(const char* schema, std::deque<std::string> lines, const Json& before = Json())
{
    Typist typist{std::move(lines), "", {}};
    auto value = fill_form(parsed(schema), before, typist.dialogue());
    INFO(typist.seen);
    REQUIRE(value);
    CHECK(typist.lines.empty());
    return *value;
}

constexpr const char* kOrder = R"({"type":"object","required":["order","count","urgent"],"properties":{
    "order":{"type":"string","title":"Order","minLength":2},"count":{"type":"integer","minimum":1,"maximum":9},"urgent":{"type":"boolean"},
    "way":{"enum":["mail","van"]},"tags":{"type":"array","items":{"type":"string"}},"note":{"type":"string"},
    "to":{"type":"object","properties":{"city":{"type":"string"}}},"pin":{"type":"string","format":"password"},"more":{"type":"array","items":{"type":"object"}}}})";

}  // namespace

TEST_CASE("a form asks for each property of the schema in its kind", "[attend]")
{
    const Json value = filled(kOrder, {"A-7", "3", "y", "2", "red, blue", "", "Wien", "1234", R"([{"a":1}])"});
    CHECK(value == parsed(R"({"order":"A-7","count":3,"urgent":true,"way":"van","tags":["red","blue"],"to":{"city":"Wien"},"pin":"1234","more":[{"a":1}]})"));
}

TEST_CASE("what does not fit is asked for again, with what was expected", "[attend]")
{
    Typist typist{{"", "x", "A-7", "three", "2.5", "12", "0", "3", "perhaps", "no", "4", "bus", "mail", "", "", "", "", "{", ""}, "", {}};
    const auto value = fill_form(parsed(kOrder), Json(), typist.dialogue());
    REQUIRE(value);
    CHECK(*value == parsed(R"({"order":"A-7","count":3,"urgent":false,"way":"mail"})"));
    for (const char* words : {"Please fill this in.", "At least 2 characters", "A whole number, please.", "At most 9, please.", "At least 1, please.", "Please type y or n.", "Please choose one.", "This is not JSON"})
        CHECK_THAT(typist.seen, Catch::Contains(words));
}

TEST_CASE("a secret is typed unseen, and never printed again", "[attend]")
{
    Typist typist{{"", "", "", "", "", "", "", "", ""}, "", {}};
    const auto value = fill_form(parsed(kOrder), parsed(R"({"order":"A-7","count":3,"urgent":true,"pin":"s3cret"})"), typist.dialogue());
    REQUIRE(value);
    CHECK((*value)["pin"].as_string() == "s3cret");   // kept, like all that was given before
    CHECK((*value)["order"].as_string() == "A-7");
    CHECK(typist.hidden == std::vector<std::string>{"pin [***]: "});
    CHECK_THAT(typist.seen, !Catch::Contains("s3cret"));
}

TEST_CASE("one value alone, choices with titles, no schema at all", "[attend]")
{
    CHECK(filled(R"({"type":"boolean"})", {"ja"}) == Json(true));
    CHECK(filled(R"({"oneOf":[{"const":7,"title":"Seven"},{"const":8}]})", {"1"}) == Json(7));
    CHECK(filled(R"({"oneOf":[{"const":7,"title":"Seven"},{"const":8}]})", {"8"}).is_null() == false);
    CHECK(filled("null", {"as I said"}) == Json("as I said"));
    CHECK(filled(R"({"type":"object","properties":{}})", {"{}"}) == Json::object({}));
    CHECK(filled(R"({"type":"number","default":2.5})", {""}) == Json(2.5));
}

TEST_CASE("an input that ends leaves the form", "[attend]")
{
    Typist typist{{"A-7"}, "", {}};
    const auto value = fill_form(parsed(kOrder), Json(), typist.dialogue());
    REQUIRE_FALSE(value);
    CHECK(value.error().code == Errc::cancelled);
}

TEST_CASE("the list numbers what can be chosen and shows no control characters", "[attend]")
{
    const Json person = parsed(R"({"agent":{"name":"anna-pc","factory":"https://f","state":"offline","why":"no route"},"user":"anna","paused":{"until":"2026-11-27T15:00:00Z"},
        "running":[{"job":"a","title":"Invoices","for":"user otto","mine":false,"state":"running","progress":{"percent":50}}],
        "consents":[{"id":"c","title":"Books","asker":"user otto"}],"questions":[{"id":"q","title":"Payout","text":"Pay\u001b[2J 12?"}],"tells":[],
        "launchable":[{"trigger":"report","title":"Report","offline":true,"unavailable":""},{"trigger":"x","title":"X","unavailable":"the factory is away"}]})");
    const auto items = items_of(person);
    REQUIRE(items.size() == 5);
    const std::string text = text_of(person, items, companion::Language::english);
    for (const char* line : {"anna-pc, for anna; Not connected: no route", "Paused until 2026-11-27T15:00:00Z", "1  Invoices, for user otto: 50 %", "2  user otto asks to run “Books”", "3  Payout: Pay?[2J 12?",
                             "4  Report (works offline)", "5  X: the factory is away"})
        CHECK_THAT(text, Catch::Contains(line));
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK_THAT(text_of(Json(), {}, companion::Language::german), Catch::Contains("Es läuft nichts"));
}
