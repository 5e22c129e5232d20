#include "factory/chat/said_answer.h"

#include <catch2/catch.hpp>

using namespace mill;
using namespace mill::factory;
using Catch::Contains;

namespace {
Json schema(std::string_view text) { return *parse_json(text); }
}  // namespace

TEST_CASE("yes and no are words of their own, with a reason behind them or none", "[factory][chat][answer]")
{
    for (const char* yes : {"yes", " Yes! ", "OK", "okay.", "ja", "👍", ":+1:", "approve"}) CHECK(read_yes_or_no(yes)->value == Json(true));
    for (const char* no : {"no", "NO.", "nein", "reject", "👎"}) CHECK(read_yes_or_no(no)->value == Json(false));
    const auto reason = read_yes_or_no("No: too dear, and late");
    CHECK(reason->value == Json(false));
    CHECK(reason->comment == "too dear, and late");
    CHECK(read_yes_or_no("yes, please")->comment == "please");
    for (const char* neither : {"", "no idea", "yesterday", "not now", "maybe", ", yes", "yes?no"}) CHECK_FALSE(read_yes_or_no(neither));
}

TEST_CASE("what is said becomes what the question's schema wants, or says what that is", "[factory][chat][answer]")
{
    CHECK(read_answer("yes", schema(R"({"type":"boolean"})"))->value == Json(true));
    CHECK(read_answer(" 42 ", schema(R"({"type":"integer"})"))->value == Json(42));
    CHECK(read_answer("1.5", schema(R"({"type":"number"})"))->value == Json(1.5));
    CHECK(read_answer("BERLIN", schema(R"({"enum":["berlin","bonn"]})"))->value == Json("berlin"));
    CHECK(read_answer("2", schema(R"({"enum":[1,2]})"))->value == Json(2));
    CHECK(read_answer(" as you like ", Json())->value == Json("as you like"));
    CHECK(read_answer("4711", schema(R"({"type":"object","properties":{"order":{"type":"string"}}})"))->value == Json::object({{"order", "4711"}}));
    const auto why_not = [](std::string_view text, std::string_view wanted) {
        const auto read = read_answer(text, schema(wanted));
        REQUIRE_FALSE(read);
        return read.error().what;
    };
    CHECK_THAT(why_not("perhaps", R"({"type":"boolean"})"), Contains("yes or no"));
    CHECK_THAT(why_not("4.5", R"({"type":"integer"})"), Contains("a whole number"));
    CHECK_THAT(why_not("four", R"({"type":"number"})"), Contains("a number"));
    CHECK_THAT(why_not("Paris", R"({"enum":["berlin","bonn"]})"), Contains("one of berlin, bonn"));
    CHECK_THAT(why_not(" ", R"({"type":"string"})"), Contains("a text"));
    CHECK_THAT(why_not("yes", R"({"type":"object","properties":{"a":{},"b":{}}})"), Contains("several fields"));
}

TEST_CASE("a mark before an answer says which question is meant", "[factory][chat][answer]")
{
    std::string text = " #3FA9 yes, go";
    CHECK(take_mark(text) == "3fa9");
    CHECK(text == "yes, go");
    for (const char* none : {"#3fa yes", "3fa9 yes", "#3fa9x yes", "#wxyz yes", "#", ""}) {
        std::string plain = none;
        CHECK(take_mark(plain).empty());
        CHECK(plain == none);
    }
}
