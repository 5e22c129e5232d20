#include <catch2/catch.hpp>

#include "factory/notify/template.h"

using namespace mill;
using namespace mill::factory;

namespace {

Json document()
{
    return *parse_json(R"({"event":"success","job":{"uid":"u-1","monitoringUrl":"https://f/v1/jobs/u-1"},
        "invocationContext":{"conversationId":"c-1","n":7},"output":{"reply":"It is \"sent\"","order":{"items":[{"id":"A"},{"id":"B"}],"a b":true}},
        "error":{"detail":"no such order"},"input":null})");
}

std::string text(std::string_view source)
{
    const auto read = Template::parse(source);
    if (!read) return "refused: " + read.error().what;
    return read->text(document());
}

}  // namespace

TEST_CASE("a template fills in plain paths", "[notify][template]")
{
    CHECK(text("no placeholder, $5 and {x}") == "no placeholder, $5 and {x}");
    CHECK(text("${ .output.reply }") == "It is \"sent\"");
    CHECK(text("${.invocationContext.conversationId}") == "c-1");
    CHECK(text("Order ${ .output.order.items[1].id } of ${ .job.uid }.") == "Order B of u-1.");
    CHECK(text("${ .output.order[\"a b\"] } ${ .output.order.\"a b\" } ${ .output[\"reply\"] }") == "true true It is \"sent\"");
    CHECK(text("${ .invocationContext.n }") == "7");
    CHECK(text("[${ .output.none.deeper }]") == "[]");
    CHECK(text("${ .output.order.items }") == R"([{"id":"A"},{"id":"B"}])");
}

TEST_CASE("a template fills in strings with interpolated paths", "[notify][template]")
{
    CHECK(text(R"T(${ "Order \(.output.order.items[0].id) says: \(.output.reply)" })T") == "Order A says: It is \"sent\"");
    CHECK(text(R"T(${ "a } brace, a \"quote\" and \u00e4" })T") == "a } brace, a \"quote\" and ä");
    CHECK(Template::parse(R"T(${ "\(.output)" })T")->value(document()).is_string());
    CHECK(Template::parse("${ .output }")->value(document()).is_object());
}

TEST_CASE("SAP's spellings are understood", "[notify][template]")
{
    CHECK(text("${invocation_context.conversationId}") == "c-1");
    CHECK(text("${invocation_context}") == R"({"conversationId":"c-1","n":7})");
    CHECK(text("${output.order.items[0].id}") == "A");
    CHECK(text("Automation failed with error: ${error.details}") == "Automation failed with error: no such order");
    CHECK(text("${error.details.message}") == "no such order");
    CHECK(text("${job.monitoringURL}") == "https://f/v1/jobs/u-1");
}

TEST_CASE("anything else is refused when it is read, and says what is supported", "[notify][template]")
{
    for (const char* wrong : {"${ .output | length }", "${ .output.a + 1 }", "${ .output.items[] }", "${ $secrets.x }", "${ now }", "${ .output.a", "${}", "${ \"open }",
             "${ .output.a // \"b\" }", "${ .output..a }", "${ .output.1a }", R"T(${ "x \(.output | length)" })T", R"T(${ "a" + "b" })T", "${ .output[\"a\" }", "${ [0] }"}) {
        const auto read = Template::parse(wrong);
        CAPTURE(wrong);
        REQUIRE_FALSE(read);
        CHECK(read.error().code == Errc::invalid);
    }
    CHECK_THAT(text("${ .outputs.reply }"), Catch::Contains("no such member") && Catch::Contains(".output"));
    CHECK_THAT(text("${ .output | length }"), Catch::Contains("plain paths"));
}

TEST_CASE("values in JSON text are escaped in quotes and whole outside them", "[notify][template]")
{
    const auto read = Template::parse(R"({"text": "${output.reply}", "context": ${invocation_context}, "none": ${ .output.none }})");
    REQUIRE(read);
    const auto value = parse_json(read->json_text(document()));
    REQUIRE(value);
    CHECK((*value)["text"].as_string() == "It is \"sent\"");
    CHECK((*value)["context"]["n"].as_integer() == 7);
    CHECK((*value)["none"].is_null());
}

TEST_CASE("a condition compares a path with a literal, and nothing more", "[notify][template]")
{
    const auto holds = [](std::string_view source) {
        const auto read = Condition::parse(source);
        if (!read) FAIL(read.error().what);
        return read->holds(document());
    };
    CHECK(holds("${ .output.reply != null }"));
    CHECK_FALSE(holds("${ .output.none != null }"));
    CHECK(holds("${ .output.none == null }"));
    CHECK(holds("${ .invocationContext.n == 7 }"));
    CHECK(holds("${ .event == \"success\" }"));
    CHECK_FALSE(holds("${ .event != \"success\" }"));
    CHECK(holds("${ .output.order[\"a b\"] }"));
    CHECK_FALSE(holds("${ .input }"));
    for (const char* wrong : {".output != null", "${ .output.n > 7 }", "${ .output == {} }", "${ .a == .b }", "${ .output.a and .output.b }", "${ .event == success }"}) {
        CAPTURE(wrong);
        CHECK_FALSE(Condition::parse(wrong));
    }
}
