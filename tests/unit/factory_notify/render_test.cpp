#include <catch2/catch.hpp>

#include "factory/notify/render.h"

using namespace mill;
using namespace mill::factory;

namespace {

const RenderOptions kOptions{"urn:millwright:factory:f-1", "https://factory.example.com"};

Notification notification(std::string_view notifier, std::string event = "success")
{
    Notification out;
    out.delivery = "d-1";
    out.event = std::move(event);
    out.notifier = *parse_json(notifier);
    out.job = *parse_json(R"({"event":"success","job":{"uid":"u-1","state":"successful","environment":"it-services"},"trigger":{"name":"t"},"invocationContext":{"conversationId":"c:1@x"},
        "input":{"secret":"of the caller"},"output":{"reply":"Done \"now\"","path":"a/b c"},"error":null,"evidence":{},"timings":{"created":"2026-11-22T10:00:00.000000Z","ended":"2026-11-22T10:00:01.000000Z"}})");
    return out;
}

Json request(const Notification& from)
{
    const auto rendered = render_notification(from, kOptions);
    if (!rendered) FAIL(rendered.error().what);
    REQUIRE(rendered->wanted);
    return rendered->request;
}

std::string refusal(const Notification& from)
{
    const auto rendered = render_notification(from, kOptions);
    return rendered ? "rendered" : rendered.error().what;
}

}  // namespace

TEST_CASE("an api notifier without a body sends a CloudEvent", "[notify][render]")
{
    const Json sent = request(notification(R"({"name":"n","type":"api","api":{"url":"https://r.example.com/hook","method":"POST","headers":{"X-Job":"${ .job.uid }"}}})"));
    CHECK(sent["kind"].as_string() == "api");
    CHECK(sent["headers"]["X-Job"].as_string() == "u-1");
    CHECK_THAT(sent["headers"]["Content-Type"].as_string(), Catch::StartsWith("application/cloudevents+json"));
    const Json event = *parse_json(sent["body"].as_string());
    CHECK(event["specversion"].as_string() == "1.0");
    CHECK(event["id"].as_string() == "d-1");
    CHECK(event["source"].as_string() == "urn:millwright:factory:f-1");
    CHECK(event["type"].as_string() == "io.millwright.job.success");
    CHECK(event["subject"].as_string() == "u-1");
    CHECK(event["time"].as_string() == "2026-11-22T10:00:01.000000Z");
    CHECK(event["data"]["output"]["reply"].as_string() == "Done \"now\"");
    CHECK(event["data"]["job"]["monitoringUrl"].as_string() == "https://factory.example.com/v1/jobs/u-1");
    CHECK(event["data"]["links"]["job"].as_string() == "https://factory.example.com/#/jobs/u-1");
    CHECK_FALSE(event["data"].contains("input"));
    CHECK_FALSE(sent.contains("secret"));
}

TEST_CASE("a link to the job's page is made only with an address that others can follow", "[notify][render]")
{
    const Notification from = notification(R"({"name":"n","type":"api","api":{"url":"https://r.example.com","body":{"see":"${ .links.job }"}}})");
    CHECK(*parse_json(request(from)["body"].as_string()) == *parse_json(R"({"see":"https://factory.example.com/#/jobs/u-1"})"));
    const auto without = render_notification(from, {"urn:millwright:factory:f-1", ""});
    REQUIRE(without);
    CHECK(*parse_json(without->request["body"].as_string()) == *parse_json(R"({"see":null})"));
}

TEST_CASE("what signs a notification is named in its request, not held", "[notify][render]")
{
    const Json sent = request(notification(R"({"name":"n","type":"api","api":{"url":"https://r.example.com","secret":"signing","authentication":"header","credentials":"key"}})"));
    CHECK(sent["secret"] == Json("signing"));
    CHECK(sent["authentication"] == Json("header"));
    CHECK(sent["credentials"] == Json("key"));
    CHECK(sent["environment"] == Json("it-services"));  // whose credentials it may use
}

TEST_CASE("an api notifier's body may be JSON with templates, JSON text or text", "[notify][render]")
{
    const Json object = request(notification(R"({"name":"n","type":"api","api":{"url":"https://r/x","body":{"reply":"${ .output.reply }","all":"${ .output }","list":["${ .job.uid }!"]}}})"));
    CHECK(object["headers"]["Content-Type"].as_string() == "application/json");
    const Json body = *parse_json(object["body"].as_string());
    CHECK(body["reply"].as_string() == "Done \"now\"");
    CHECK(body["all"]["path"].as_string() == "a/b c");
    CHECK(body["list"][std::size_t(0)].as_string() == "u-1!");

    const Json sap = request(notification(R"({"name":"n","type":"api","api":{"url":"https://r/x","body":"{\"r\": \"${output.reply}\", \"c\": ${invocation_context}}"}})"));
    CHECK((*parse_json(sap["body"].as_string()))["c"]["conversationId"].as_string() == "c:1@x");

    const Json text = request(notification(R"({"name":"n","type":"api","api":{"url":"https://r/${ .output.path }?q=${ .output.reply }","method":"PUT","body":"Job ${ .job.uid }","headers":{"content-type":"text/markdown"}}})"));
    CHECK(text["body"].as_string() == "Job u-1");
    CHECK(text["headers"]["Content-Type"].as_string() == "text/markdown");
    CHECK(text["url"].as_string() == "https://r/a%2Fb%20c?q=Done%20%22now%22");
    CHECK(text["method"].as_string() == "PUT");
}

TEST_CASE("a chat notifier makes SAP Conversational AI's message request", "[notify][render]")
{
    const Json sent = request(notification(R"({"name":"n","type":"chat","chat":{"platform":"sap-cai","reaction":"message","conversation":"${ .invocationContext.conversationId }",
        "message":"${ .output.reply }","credentials":"bot","baseUrl":"https://api.cai.tools.sap/","delay":2}})"));
    CHECK(sent["method"].as_string() == "POST");
    CHECK(sent["url"].as_string() == "https://api.cai.tools.sap/connect/v1/conversations/c%3A1%40x/messages");
    CHECK(*parse_json(sent["body"].as_string()) == *parse_json(R"({"messages":[{"type":"text","content":"Done \"now\"","delay":2}]})"));
    CHECK(sent["credentials"].as_string() == "bot");
    CHECK(sent["environment"] == Json("it-services"));
}

TEST_CASE("a chat notifier makes SAP Conversational AI's memory request", "[notify][render]")
{
    const Json sent = request(notification(R"({"name":"n","type":"chat","chat":{"platform":"sap-cai","reaction":"memory","conversation":"${invocation_context.conversationId}",
        "memory":{"order":{"status":"${ .output.reply }"}},"bot":{"user":"anna","name":"desk bot","version":"v1"},"credentials":"bot","baseUrl":"https://api.cai.tools.sap"}})"));
    CHECK(sent["method"].as_string() == "PUT");
    CHECK(sent["url"].as_string() == "https://api.cai.tools.sap/build/v1/users/anna/bots/desk%20bot/versions/v1/builder/conversation_states/c%3A1%40x");
    CHECK(*parse_json(sent["body"].as_string()) == *parse_json(R"({"language":"en","merge_memory":true,"memory":{"order":{"status":"Done \"now\""}}})"));
}

TEST_CASE("a chat message may differ by event, and an event without one sends nothing", "[notify][render]")
{
    const char* chat = R"({"name":"n","type":"chat","chat":{"platform":"sap-cai","conversation":"c1","messages":{"success":"fine","failure":"Sorry: ${ .error.detail }"},"credentials":"b","baseUrl":"https://x"}})";
    CHECK_THAT(request(notification(chat))["body"].as_string(), Catch::Contains("fine"));
    CHECK_THAT(request(notification(chat, "failure"))["body"].as_string(), Catch::Contains("Sorry: "));
    const auto none = render_notification(notification(chat, "start"), kOptions);
    REQUIRE(none);
    CHECK_FALSE(none->wanted);
}

TEST_CASE("a missing value is an error that names it", "[notify][render]")
{
    CHECK_THAT(refusal(notification(R"({"name":"n","type":"chat","chat":{"platform":"sap-cai","conversation":"${ .invocationContext.conversation }","message":"x","credentials":"b"}})")),
               Catch::Contains("no conversation id") && Catch::Contains(".invocationContext.conversation has no value"));
    CHECK_THAT(refusal(notification(R"({"name":"n","type":"chat","chat":{"platform":"sap-cai","conversation":"${ .output.reply }","message":"x","credentials":"b"}})")), Catch::Contains("is not a conversation id"));
    CHECK_THAT(refusal(notification(R"({"name":"n","type":"chat","chat":{"platform":"sap-cai","conversation":"c","message":"${ .output.none }","credentials":"b"}})")), Catch::Contains("the message is empty"));
    CHECK_THAT(refusal(notification(R"({"name":"n","type":"api","api":{"url":"https://r/${ .output.none }"}})")), Catch::Contains(".output.none"));
    CHECK_THAT(refusal(notification(R"({"name":"n","type":"api","api":{"url":"https://r/","body":"{\"a\": ${ .output.reply } x}"}})")), Catch::Contains("not JSON"));
}

TEST_CASE("when decides whether anything is sent", "[notify][render]")
{
    const auto rendered = render_notification(notification(R"({"name":"n","when":"${ .output.reply == null }","type":"api","api":{"url":"https://r/"}})"), kOptions);
    REQUIRE(rendered);
    CHECK_FALSE(rendered->wanted);
    CHECK(request(notification(R"({"name":"n","when":"${ .output.reply != null }","type":"api","api":{"url":"https://r/"}})")).is_object());
}

TEST_CASE("a notifier is checked when it is saved: all its mistakes at once", "[notify][render]")
{
    const auto checked = check_notifier(*parse_json(R"({"when":"${ .a }","api":{"url":"https://${ .output.host }/x","headers":{"A":"${ now }"},"body":{"x":["${ .outptu }"]}}})"));
    REQUIRE_FALSE(checked);
    for (const char* expected : {"when: ", "api.url: scheme and host must be written out", "api.headers/A", "api.body/x/0"}) CHECK_THAT(checked.error().what, Catch::Contains(expected));
    CHECK(check_notifier(*parse_json(R"({"chat":{"conversation":"${invocation_context.conversationId}","message":"${output.order.orderStatus}","memory":{"a":1}}})")));
}
