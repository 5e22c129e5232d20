#include <catch2/catch.hpp>

#include <limits>

#include "platform/base/json.h"

using namespace mill;

TEST_CASE("what is read is written back: integers to the last digit, members in their order", "[base][json]")
{
    for (const char* text : {"null", "true", "0", "-9223372036854775808", "9223372036854775807", "9007199254740993", "1.5", "\"\"", "[]", "{}", R"({"b":1,"a":[null,false,{"c":"d"}]})",
                             R"("\"\\\n\r\t\b\f\u0001")", "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"", "1e+20", "-0.25"}) {
        const auto value = parse_json(text);
        INFO(text);
        REQUIRE(value);
        CHECK(dump_json(*value) == text);
    }
}

TEST_CASE("what is not JSON is refused with its place", "[base][json]")
{
    for (const char* text : {"", " ", "{", "[1,]", "{\"a\":}", "01", "1 2", "nul", "'a'", "\"\x01\"", "\"\xFF\"", "\"\\ud800\"", "[1}", "{\"a\":1,\"a\":2}", "NaN", "+1", "\xEF\xBB\xBF" "x"}) {
        const auto value = parse_json(text);
        INFO(text);
        REQUIRE_FALSE(value);
        CHECK(value.error().code == Errc::invalid);
    }
    CHECK_THAT(parse_json("{\"a\":1,\"a\":2}").error().what, Catch::Contains("\"a\""));
    CHECK_THAT(parse_json("[1,\n2,x]").error().what, Catch::Contains("byte 7"));
}

TEST_CASE("size and depth are limited while reading", "[base][json]")
{
    CHECK(parse_json(std::string(1'000'000, '[')).error().code == Errc::too_large);
    CHECK(parse_json(std::string(64, '[') + std::string(64, ']')));
    CHECK(parse_json(std::string(65, '[') + std::string(65, ']')).error().code == Errc::too_large);
    CHECK(parse_json("[1,2,3]", {4, 64}).error().code == Errc::too_large);
}

TEST_CASE("a large number becomes a double, an unsigned one too", "[base][json]")
{
    CHECK(parse_json("9223372036854775808")->kind() == Json::Kind::number);
    CHECK(Json(std::numeric_limits<unsigned long>::max()).kind() == Json::Kind::number);
    CHECK(Json(1.0) == Json(1));
    CHECK(Json(2.0).as_integer() == 2);
    CHECK(Json(2.5).as_integer() == 0);
    CHECK(Json(1e300).as_integer() == 0);
    CHECK(dump_json(Json(std::numeric_limits<double>::infinity())) == "null");
    CHECK(dump_json(Json(3.0)) == "3");
}

TEST_CASE("copies share until one changes", "[base][json]")
{
    const Json first = *parse_json(R"({"a":{"b":[1,2]}})");
    Json second = first;
    CHECK(second.same(first));
    Json inner = second["a"];
    inner.set("b", 3);
    second.set("a", inner);
    CHECK(dump_json(first) == R"({"a":{"b":[1,2]}})");
    CHECK(dump_json(second) == R"({"a":{"b":3}})");
    Json self = Json::array({1});
    self.push(self);
    CHECK(dump_json(self) == "[1,[1]]");
}

TEST_CASE("asking for what is not there gives an empty value", "[base][json]")
{
    const Json value = *parse_json(R"({"a":[1]})");
    CHECK(value["x"]["y"]["z"].is_null());
    CHECK(value["a"][std::size_t{5}].is_null());
    CHECK(value["a"].as_string().empty());
    CHECK(value.find("x") == nullptr);
    CHECK(Json("text").size() == 0);
}

TEST_CASE("objects of any size find, replace and lose members", "[base][json]")
{
    Json object = Json::object();
    for (int i = 0; i < 200; ++i) object.set("key" + std::to_string(i), i);
    object.set("key7", "seven");
    CHECK(object.size() == 200);
    CHECK(object["key7"].as_string() == "seven");
    CHECK(object.erase("key0"));
    CHECK_FALSE(object.erase("key0"));
    CHECK(object["key199"].as_integer() == 199);
    CHECK(object.size() == 199);
    Json reversed = Json::object();
    for (int i = 199; i > 0; --i) reversed.set("key" + std::to_string(i), object["key" + std::to_string(i)]);
    CHECK(reversed == object);
}

TEST_CASE("bytes that are no UTF-8 are written as the replacement character", "[base][json]")
{
    CHECK(dump_json(Json("a\xFF" "b")) == "\"a\xEF\xBF\xBD" "b\"");
    CHECK(dump_json(Json(std::string("\xED\xA0\x80"))) == "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");  // a surrogate
    CHECK(dump_json(Json(std::string("\xC0\xAF"))) == "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");                // overlong
    CHECK(parse_json(dump_json(Json(std::string("\xE2\x82")))));
}

TEST_CASE("indented text reads back as the same value", "[base][json]")
{
    const Json value = *parse_json(R"({"a":[1,{"b":null}],"c":{},"d":[]})");
    CHECK(dump_json(value, 2) == "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}");
    CHECK(*parse_json(dump_json(value, 2)) == value);
}

TEST_CASE("where it is asked for, an integer beyond 64 bits is an error that names it", "[json]")
{
    for (const char* text : {"9223372036854775808", "[1, -9223372036854775809]", "{\"a\":123456789012345678901234567890}"}) {
        INFO(text);
        CHECK(parse_json(text));
        const auto exact = parse_json(text, {.exact = true});
        REQUIRE_FALSE(exact);
        CHECK_THAT(exact.error().what, Catch::Contains("beyond 64 bits"));
    }
    for (const char* text : {"9223372036854775807", "-9223372036854775808", "1e300", "9223372036854775808.0"}) CHECK(parse_json(text, {.exact = true}));
}
