#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include "workflows/jq_text.h"
#include "workflows/value.h"

using namespace mill;
using namespace mill::testing;
using workflows::Value;

TEST_CASE("a value made of parts reads like the JSON that it becomes", "[workflows][value]")
{
    const Value made = Value::object({{"a", Value(json("[1,{\"b\":2}]"))}, {"c", Value::array({Value(Json(5)), Value::object({})})}});
    CHECK(dump_json(made.json()) == R"({"a":[1,{"b":2}],"c":[5,{}]})");
    CHECK(made.kind() == Json::Kind::object);
    CHECK(made.size() == 2);
    CHECK(dump_json(made.follow(*workflows::parse_plain_path(".a[1].b"))->json()) == "2");
    CHECK(dump_json(made.follow(*workflows::parse_plain_path(".c[-1]"))->json()) == "{}");
    CHECK(made.follow(*workflows::parse_plain_path(".none.x"))->is_null());
    CHECK_FALSE(made.follow(*workflows::parse_plain_path(".a.b")));
}

TEST_CASE("truth is jq's: all but false and null", "[workflows][value]")
{
    for (const char* yes : {"0", "\"\"", "[]", "{}", "true"}) CHECK(Value(json(yes)).truthy());
    for (const char* no : {"false", "null"}) CHECK_FALSE(Value(json(no)).truthy());
    CHECK(run_flow("do: [ { a: { if: .n, set: { ran: true } } } ]", json(R"({"n":0})")).words() == R"({"ran":true})");
}

TEST_CASE("values cross jq and come back the same, in the same order", "[workflows][value]")
{
    const std::string text = R"({"z":1,"a":[1.5,-2,1e300,true,null,"x\u00e9\u0000y"],"m":{"k":[[],{}]},"big":4503599627370497})";
    const Ran ran = run_flow("do: [ { a: { set: '${ . | . }' } } ]", json(text));
    CHECK(dump_json(ran.output) == dump_json(json(text)));
}

TEST_CASE("data that wraps itself without end is an error and no crash", "[workflows][value]")
{
    const Ran native = run_flow("do: [ { a: { set: { in: '${ . }' } } }, { b: { switch: [ { again: { then: a } } ] } } ]");
    CHECK_THAT(native.fault.detail, Catch::Contains("nested deeper than 56"));
    const Ran jq = run_flow("do: [ { a: { set: '${ {in: .} }' } }, { b: { switch: [ { again: { then: a } } ] } } ]");
    CHECK_THAT(jq.fault.detail, Catch::Contains("nested deeper than 56"));
}

TEST_CASE("a look at jq's text tells variables that it binds from those that it is given", "[workflows]")
{
    const auto text = workflows::read_jq(R"(. as {a: $x, b: [$y]} | reduce .[] as $i (0; . + $i) | "in \($z) \"$no\"" # $comment)");
    REQUIRE(text);
    CHECK(text->variables == std::set<std::string>{"i", "x", "y", "z"});
    CHECK(text->bound == std::set<std::string>{"i", "x", "y"});
    for (const char* wrong : {"(", ")", "[)", "\"", "\"\\(", "{", "\"\\(1\"", "a]"}) CHECK_FALSE(workflows::read_jq(wrong));
}
