#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "tests/support/workflow_run.h"
#include "workflows/pointer.h"
#include "workflows/schema.h"

using namespace mill;
using namespace mill::testing;

namespace {

Result<std::shared_ptr<const workflows::Schema>> schema(const std::string& text) { return workflows::compile_schema(json(text)); }

bool fits(const std::string& text, const Json& value)
{
    const auto made = schema(text);
    INFO(text);
    REQUIRE(made);
    return (*made)->mistakes(value).empty();
}

std::string refusal(const std::string& text)
{
    const auto made = schema(text);
    return made ? "taken" : made.error().what;
}

}  // namespace

TEST_CASE("a pattern takes time that grows with the text, however it is written", "[workflows][schema][slow]")
{
    const std::string letters(300'000, 'a');
    CHECK(fits(R"({"pattern":"^[a-z]+$"})", letters));
    CHECK_FALSE(fits(R"({"pattern":"^(a+)+$"})", letters + "!"));
    CHECK_FALSE(fits(R"({"pattern":"[a-z]+[0-9]"})", letters));
    CHECK(fits(R"({"pattern":"b|!$"})", letters + "!"));
    CHECK(fits(R"({"pattern":"b"})", "abc"));
    CHECK_FALSE(fits(R"({"pattern":"^b"})", "abc"));
    CHECK_FALSE(fits(R"({"pattern":"b$"})", "abc"));
    CHECK(fits(R"({"pattern":"^[0-9]{4}-[0-9]{2}$"})", "2026-11"));
    CHECK(fits(R"({"pattern":"^(?!x).*$"})", "abc"));
    CHECK(fits(R"({"pattern":"^a"})", 5));
}

TEST_CASE("a pattern that would be too much work is refused", "[workflows][schema]")
{
    CHECK_THAT(refusal(R"({"properties":{"a":{"pattern":"(a{1,200}){1,200}"}}})"), Catch::Contains("/properties/a/pattern: '(a{1,200}){1,200}' is too large a pattern"));
    CHECK_THAT(refusal(fmt::format(R"({{"pattern":"{}"}})", std::string(1001, 'a'))), Catch::Contains("too large a pattern"));
    CHECK_THAT(refusal(R"({"pattern":"(a)\\1"})"), Catch::Contains("refers back to a group"));
    CHECK_THAT(refusal(R"({"pattern":"a)|(b"})"), Catch::Contains("no regular expression"));
    CHECK_THAT(refusal(R"({"patternProperties":{"(":{}}})"), Catch::Contains("no regular expression"));
    CHECK(refusal(R"({"default":{"pattern":"*.csv"}})") == "taken");
    CHECK(refusal(R"({"properties":{"pattern":{"default":"*"}}})") == "taken");
}

TEST_CASE("names are matched by patternProperties, absurd ones are not looked at", "[workflows][schema]")
{
    const std::string text = R"({"patternProperties":{"^x-[a-z]+$":{"type":"string"}},"additionalProperties":false})";
    CHECK(fits(text, json(R"({"x-a":"b"})")));
    CHECK_FALSE(fits(text, json(R"({"x-a":5})")));
    CHECK_FALSE(fits(text, json(R"({"y":"b"})")));
    CHECK_FALSE(fits(text, Json::object({{"x-" + std::string(200'000, 'a'), "b"}})));
}

TEST_CASE("dates and times are looked at, other formats and other kinds hold", "[workflows][schema]")
{
    CHECK(fits(R"({"format":"date"})", "2026-11-22"));
    CHECK_FALSE(fits(R"({"format":"date"})", "2026-02-30"));
    CHECK_FALSE(fits(R"({"format":"date"})", "22.11.2026"));
    CHECK_FALSE(fits(R"({"format":"date"})", std::string(300'000, '1')));
    CHECK(fits(R"({"format":"time"})", "10:15:00Z"));
    CHECK_FALSE(fits(R"({"format":"time"})", "25:15:00Z"));
    CHECK(fits(R"({"format":"date-time"})", "2026-11-22T10:15:00+01:00"));
    CHECK_FALSE(fits(R"({"format":"date-time"})", "2026-11-22"));
    CHECK(fits(R"({"format":"date"})", 5));
    CHECK(fits(R"({"format":"uuid"})", "x"));
    CHECK(fits(R"({"properties":{"format":{"type":"integer"}}})", json(R"({"format":5})")));
    CHECK_THAT((*schema(R"({"properties":{"d":{"format":"date"}}})"))->mistakes(json(R"({"d":"x"})")).at(0), Catch::Contains("/d: it must be a date"));
}

TEST_CASE("references within a schema are followed; circles that never look at a part are refused", "[workflows][schema]")
{
    const std::string list = R"({"definitions":{"n":{"type":"object","properties":{"next":{"$ref":"#/definitions/n"}},"additionalProperties":false}},"$ref":"#/definitions/n"})";
    CHECK(fits(list, json(R"({"next":{"next":{}}})")));
    CHECK_FALSE(fits(list, json(R"({"next":{"nxt":{}}})")));
    for (const char* circle : {R"({"$ref":"#"})", R"({"$ref":"#/"})", R"({"allOf":[{"$ref":"#"}]})", R"({"properties":{"a":{"not":{"$ref":"#/properties/a"}}}})",
                               R"({"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"anyOf":[{},{"$ref":"#/definitions/a"}]}}})",
                               R"({"dependencies":{"x":{"$ref":"#"}}})", R"({"if":{"then":{"$ref":"#/if"}}})"})
        CHECK_THAT(refusal(circle), Catch::Contains("circle"));
    CHECK_THAT(refusal(R"({"$ref":"#/definitions/none"})"), !Catch::Contains("taken"));
    CHECK_THAT(refusal(R"({"$ref":"#name"})"), Catch::Contains("only references within the schema"));
    std::string chain = R"({"definitions":{)", many = R"({"definitions":{"a":{}},"items":[)";
    for (int i = 0; i < 60; ++i) chain += fmt::format(R"("d{}":{{"$ref":"#/definitions/d{}"}},)", i, i + 1);
    for (int i = 0; i < 501; ++i) many += std::string(i == 0 ? "" : ",") + R"({"$ref":"#/definitions/a"})";
    CHECK_THAT(refusal(chain + R"("d60":{}}})"), Catch::Contains("more than 50 schemas"));
    CHECK_THAT(refusal(many + "]}"), Catch::Contains("more than 500 references"));
    std::string deep = R"({"definitions":{)";
    for (int i = 0; i < 490; ++i) deep += fmt::format(R"("d{}":{{"properties":{{"a":{{"$ref":"#/definitions/d{}"}}}}}},)", i, i + 1);
    CHECK(refusal(deep + R"("d490":{}},"$ref":"#/definitions/d0"})") == "taken");
}

TEST_CASE("a JSON pointer names a part of a document, or nothing", "[workflows][schema]")
{
    const Json document = json(R"({"a":{"b/c":[10,{"~":1}],"d e":2,"":3}})");
    const auto named = [&](const char* pointer) {
        const Json* found = workflows::at_pointer(document, pointer);
        return found == nullptr ? std::string("-") : dump_json(*found);
    };
    CHECK(named("") == dump_json(document));
    CHECK(named("/a/b~1c/0") == "10");
    CHECK(named("/a/b~1c/1/~0") == "1");
    CHECK(named("/a/d%20e") == "2");
    CHECK(named("/a/") == "3");
    for (const char* nothing : {"/x", "/a/b~1c/2", "/a/b~1c/-1", "/a/b~1c/0/x", "a", "/%zz", "/a/b~1c/00x"}) CHECK(named(nothing) == "-");
}
