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

TEST_CASE("where there is no jq, anything else is refused when it is read, and says what is supported", "[notify][template]")
{
    const TemplateLanguage plain{notification_language().members, false};
    for (const char* wrong : {"${ .output | length }", "${ .output.a + 1 }", "${ .output.items[] }", "${ $secrets.x }", "${ now }", "${ .output.a", "${}", "${ \"open }",
             "${ .output.a // \"b\" }", "${ .output..a }", "${ .output.1a }", R"T(${ "x \(.output | length)" })T", R"T(${ "a" + "b" })T", "${ .output[\"a\" }", "${ [0] }"}) {
        const auto read = Template::parse(wrong, plain);
        CAPTURE(wrong);
        REQUIRE_FALSE(read);
        CHECK(read.error().code == Errc::invalid);
    }
    CHECK_THAT(text("${ .outputs.reply }"), Catch::Contains("no such member") && Catch::Contains(".output"));
    CHECK_THAT(Template::parse("${ .output | length }", plain).error().what, Catch::Contains("plain paths"));
}

TEST_CASE("what is more than a plain path is jq: a whole expression, however many braces and quotes it has", "[notify][template]")
{
    const auto jq = [](std::string_view source) {
        const auto read = Template::parse(source);
        if (!read) FAIL(read.error().what);
        return read->expressions();
    };
    using Texts = std::vector<std::string>;
    CHECK(jq("${ .output.reply } and ${ \"a \\(.job.uid)\" }").empty());
    CHECK(jq("n: ${ .output.items | length }.") == Texts{".output.items | length"});
    CHECK(jq("${ {id: .job.uid, more: {a: \"}\"}} }${ .a // \"b\" }") == Texts{"{id: .job.uid, more: {a: \"}\"}}", ".a // \"b\""});
    CHECK(jq(R"T(${ "x \(.output.items | map("<\(.id)>") | join(", ")) }" } ${ .job.uid })T") == Texts{R"T("x \(.output.items | map("<\(.id)>") | join(", ")) }")T"});
    // A mistake in a plain path stays one: jq would only find nothing there.
    for (const char* wrong : {"${ .outptu.reply }", "${ now }", "${}", "${ .output.a", "${ \"open }", "${ {a: 1 }", R"T(${ "x \(.outptu)" })T"}) {
        CAPTURE(wrong);
        CHECK_FALSE(Template::parse(wrong));
    }
}

TEST_CASE("an expression's value stands where it was evaluated to, and . is without it", "[notify][template]")
{
    Json with = document();
    with.set(kEvaluated, Json::object({{".output.order.items | length", 2}, {".none | .", Json()}}));
    const auto read = Template::parse("${ .output.order.items | length }");
    REQUIRE(read);
    CHECK(read->value(with) == Json(2));
    CHECK(Template::parse("n: ${ .output.order.items | length }")->text(with) == "n: 2");
    CHECK(Template::parse(R"({"n": ${ .output.order.items | length }, "s": "${ .output.order.items | length }"})")->json_text(with) == R"({"n": 2, "s": "2"})");
    CHECK(Template::parse("https://x/${ .none | . }")->missing(with) == std::vector<std::string>{".none | ."});
    CHECK(dump_json(Template::parse("${ . }")->value(with)) == dump_json(document()));
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

TEST_CASE("a condition compares a path with a literal; all else is jq", "[notify][template]")
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
    for (const char* wrong : {".output != null", "${ .outptu == 7 }", "${ .outptu }", "${ }", "${ .output } and ${ .input }"}) {
        CAPTURE(wrong);
        CHECK_FALSE(Condition::parse(wrong));
    }
    for (const char* jq : {"${ .output.n > 7 }", "${ .output == {} }", "${ .output == .input }", "${ .output.a and .output.b }", "${ .event | test(\"^s\") }", "${ .output | length == 3 }"}) {
        CAPTURE(jq);
        const auto read = Condition::parse(jq);
        REQUIRE(read);
        CHECK(read->needs_evaluation());
        Json with = document();
        CHECK_FALSE(read->holds(with.set(kEvaluated, Json::object({{read->expression(), false}}))));
        CHECK(read->holds(with.set(kEvaluated, Json::object({{read->expression(), 0}}))));
    }
    CHECK_FALSE(Condition::parse("${ .output.reply != null }")->needs_evaluation());
}
