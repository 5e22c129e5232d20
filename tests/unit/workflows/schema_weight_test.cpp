#include <string>

#include <catch2/catch.hpp>

#include "workflows/schema_weight.h"

using namespace mill;
using workflows::weigh_schema;

namespace {

Json json(const std::string& text)
{
    auto out = parse_json(text);
    REQUIRE(out);
    return *out;
}

}  // namespace

TEST_CASE("a schema of plain keywords has a weight", "[workflows][schema]")
{
    CHECK(weigh_schema(json(R"({"type":"object","required":["a"],"properties":{"a":{"type":"string","maxLength":5}}})")));
    CHECK(weigh_schema(json("true")));
    CHECK(weigh_schema(json(R"({"properties":{"a":{"items":{"format":"date"}}}})")));
    CHECK(weigh_schema(json(R"({"properties":{"pattern":{"type":"string"},"format":{"enum":["pdf"]}}})")));   // members of the data, not keywords
    CHECK(weigh_schema(json(R"({"default":{"pattern":"x"},"const":{"format":"y"}})")));
    CHECK(weigh_schema(json(R"({"properties":{"a":{"$ref":"#/definitions/a~1b"}},"definitions":{"a/b":{"type":"string"}}})")));
}

TEST_CASE("a schema with regular expressions has none, wherever they are", "[workflows][schema]")
{
    CHECK_FALSE(weigh_schema(json(R"({"pattern":"^a+$"})")));
    CHECK_FALSE(weigh_schema(json(R"({"properties":{"a":{"patternProperties":{"^x":true}}}})")));
    CHECK_FALSE(weigh_schema(json(R"({"anyOf":[true,{"not":{"pattern":"x"}}]})")));
    CHECK_FALSE(weigh_schema(json(R"({"dependencies":{"a":{"pattern":"x"}}})")));
    CHECK_FALSE(weigh_schema(json(R"({"properties":{"a":{"$ref":"#/default"}},"default":{"pattern":"x"}})")));   // data that a reference makes a schema
    CHECK_FALSE(weigh_schema(json(R"({"not":{"$ref":"#/properties"},"properties":{"pattern":"x"}})")));
}

TEST_CASE("a schema whose checks may not end has none", "[workflows][schema]")
{
    CHECK_FALSE(weigh_schema(json(R"({"$ref":"#"})")));
    CHECK_FALSE(weigh_schema(json(R"({"allOf":[{"$ref":"#/definitions/a"}],"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}}})")));
    CHECK_FALSE(weigh_schema(json(R"({"$ref":"#/definitions/nothing"})")));
    std::string doubling = R"({"allOf":[{"$ref":"#/definitions/a0"}],"definitions":{)";
    for (int i = 0; i < 40; ++i)
        doubling += "\"a" + std::to_string(i) + R"(":{"allOf":[{"$ref":"#/definitions/a)" + std::to_string(i + 1) + R"("},{"$ref":"#/definitions/a)" + std::to_string(i + 1) + "\"}]},";
    CHECK_FALSE(weigh_schema(json(doubling + R"("a40":{"type":"string"}}})")));
}

TEST_CASE("steps grow with the value, and with its square where items must differ", "[workflows][schema]")
{
    const auto plain = weigh_schema(json(R"({"items":{"type":"integer"}})")), unique = weigh_schema(json(R"({"items":{"type":"integer"},"uniqueItems":true})"));
    REQUIRE(plain);
    REQUIRE(unique);
    Json hundred = Json::array(), thousand = Json::array();
    for (int i = 0; i < 1000; ++i) {
        if (i < 100) hundred.push(Json(i));
        thousand.push(Json(i));
    }
    CHECK(workflows::steps_of(*plain, thousand) < 11 * workflows::steps_of(*plain, hundred));
    CHECK(workflows::steps_of(*unique, thousand) > 50 * workflows::steps_of(*unique, hundred));
    CHECK(workflows::steps_of(*plain, Json(std::string(1 << 20, 'x'))) > 4000);   // text is copied and compared
}
