#include "agent/companion/notices.h"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace mill;
using namespace mill::companion;

namespace {

Json parsed(const char* text)
{
    auto json = parse_json(text);
    REQUIRE(json);
    return *json;
}

std::vector<std::string> labels(const platform::Notice& notice)
{
    std::vector<std::string> out;
    for (const auto& [name, label] : notice.actions)
        if (name != "default") out.push_back(label);
    return out;
}

}  // namespace

TEST_CASE("a consent says who wants what and what it will do, and each choice is a button", "[companion][notices]")
{
    const Json person = parsed(R"({"consents":[{"id":"J 1 1","title":"Invoices","description":"Books what came in","asker":"user otto","trigger":"invoices","expectedMs":120000,
        "does":["reads files in /srv/in","writes files in /srv/out","a","b","c"],"until":"2026-11-27T13:05:00Z","choices":["now","later","not_today","from_a_newer_agent"]}]})");
    const auto shown = open_notices(person, Language::english);
    REQUIRE(shown.size() == 1);
    CHECK(shown[0].name == "consent/J 1 1");
    CHECK(shown[0].notice.title == "user otto asks to run “Invoices”");
    CHECK_THAT(shown[0].notice.body, Catch::StartsWith("Books what came in\n• reads files in /srv/in\n• writes files in /srv/out\n• a\n• b\n…\nTakes about 2 min."));
    CHECK(shown[0].notice.stays);
    CHECK(labels(shown[0].notice) == std::vector<std::string>{"Now", "In ten minutes", "Not today"});
    CHECK(shown[0].deeds.at("not_today") == post("/v1/consents/J%201%201", Json::object({{"choice", "not_today"}})));
    CHECK(shown[0].deeds.at("default") == open_page("consent", "J 1 1"));
    CHECK_FALSE(shown[0].dismissed);   // to put it away is no answer
}

TEST_CASE("yes, no and few choices are answered in the notice, anything else on the page", "[companion][notices]")
{
    const auto one = [](const char* schema, const char* kind = "ask") {
        const Json person = parsed((std::string(R"({"questions":[{"id":"q","kind":")") + kind + R"(","text":"Which?","title":"Payout","schema":)" + schema + "}]}").c_str());
        auto shown = open_notices(person, Language::english);
        REQUIRE(shown.size() == 1);
        return shown[0];
    };
    SECTION("an approval")
    {
        const Shown shown = one("null", "approval");
        CHECK(shown.notice.title == "Payout needs an approval");
        CHECK(labels(shown.notice) == std::vector<std::string>{"Yes", "No"});
        CHECK(shown.deeds.at("answer-0") == post("/v1/questions/q", Json::object({{"answer", true}, {"comment", ""}})));
        CHECK(shown.deeds.at("answer-1") == post("/v1/questions/q", Json::object({{"answer", false}, {"comment", ""}})));
    }
    SECTION("a truth value") { CHECK(labels(one(R"({"type":"boolean"})").notice).size() == 2); }
    SECTION("values and their titles")
    {
        const Shown shown = one(R"({"oneOf":[{"const":7,"title":"Seven"},{"const":8}]})");
        CHECK(labels(shown.notice) == std::vector<std::string>{"Seven", "8"});
        CHECK(shown.deeds.at("answer-0").body["answer"] == Json(7));
    }
    SECTION("three words") { CHECK(labels(one(R"({"enum":["red","green","blue"]})").notice) == std::vector<std::string>{"red", "green", "blue"}); }
    SECTION("too many, too long, a text, a form: the page")
    {
        for (const char* schema : {R"({"enum":["a","b","c","d"]})", R"({"enum":["a","a word that no button of any desktop would hold"]})", R"({"type":"string"})", "null",
                                   R"({"type":"object","properties":{"sum":{"type":"number"}}})", R"({"oneOf":[{"const":1},{"type":"string"}]})"}) {
            INFO(schema);
            const Shown shown = one(schema);
            CHECK(labels(shown.notice) == std::vector<std::string>{"Open"});
            CHECK(shown.deeds.at("open") == open_page("question", "q"));
        }
    }
}

TEST_CASE("a message is seen when it is clicked away", "[companion][notices]")
{
    const auto shown = open_notices(parsed(R"({"tells":[{"id":"t/1","text":"Done by four","title":"Report","job":"j","at":"2026-11-27T13:05:00Z"}]})"), Language::german);
    REQUIRE(shown.size() == 1);
    CHECK(shown[0].notice.body == "Done by four");
    CHECK(shown[0].dismissed == post("/v1/tells/t%2F1"));
    CHECK(labels(shown[0].notice) == std::vector<std::string>{"Gelesen"});
}

TEST_CASE("text from outside is short and without control characters, however long it is", "[companion][notices]")
{
    Json question = Json::object({{"id", "q"}, {"kind", "ask"}, {"title", std::string(5000, 'x')}, {"text", "a\x1b]0;b" + std::string(100'000, 'y')}});
    const auto shown = open_notices(Json::object({{"questions", Json::array({question})}}), Language::english);
    REQUIRE(shown.size() == 1);
    CHECK(shown[0].notice.title.size() < 100);
    CHECK(shown[0].notice.body.size() < 500);
    CHECK(shown[0].notice.body.find('\x1b') == std::string::npos);
}

TEST_CASE("of a thousand questions twenty are shown, and what is malformed is none", "[companion][notices]")
{
    Json many = Json::array();
    for (int i = 0; i < 1000; ++i) many.push(Json::object({{"id", std::to_string(i)}, {"kind", "approval"}, {"text", "?"}}));
    CHECK(open_notices(Json::object({{"questions", many}}), Language::english).size() == 20);
    CHECK(open_notices(parsed(R"({"questions":{"a":1},"consents":[1,null,"x",{"id":""}],"tells":"no"})"), Language::english).empty());
    CHECK(open_notices(Json(), Language::english).empty());
}

TEST_CASE("a job's end is told once, to whom it was started by, and not what ended before", "[companion][notices]")
{
    Ends ends;
    const auto look = [&](const char* text) { return ends.look(parsed(text), Language::english); };
    CHECK(look(R"({"history":[{"job":"old","title":"Old","state":"successful","ended":"2026-11-27T13:00:00Z","mine":true}]})").empty());
    CHECK(look(R"({"running":[{"job":"a","mine":true},{"job":"b","mine":false}],"history":[]})").empty());
    const char* over = R"({"running":[],"history":[{"job":"a","title":"A","state":"failed","error":{"detail":"no such file"},"ended":"2026-11-27T13:05:00Z"},
        {"job":"b","title":"B","state":"successful","ended":"2026-11-27T13:05:00Z"},{"job":"c","title":"C","state":"successful","mine":true,"ended":"2026-11-27T13:05:00Z"},
        {"job":"d","title":"D","state":"running","mine":true,"ended":null}]})";
    const auto shown = look(over);
    REQUIRE(shown.size() == 2);
    CHECK(shown[0].notice.title == "A has failed");
    CHECK(shown[0].notice.body == "no such file");
    CHECK(shown[0].deeds.at("default") == open_page("job", "a"));
    CHECK(shown[1].notice.title == "C is done");
    CHECK(look(over).empty());
}

TEST_CASE("what the person stopped is not told to that person", "[companion][notices]")
{
    Ends ends;
    (void)ends.look(parsed(R"({"running":[{"job":"a","mine":true}]})"), Language::english);
    CHECK(ends.look(parsed(R"({"history":[{"job":"a","state":"cancelled","ended":"2026-11-27T13:05:00Z"}]})"), Language::english).empty());
}
