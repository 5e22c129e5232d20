#include <set>

#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "factory/api/routes.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using namespace std::chrono_literals;
using mill::test::Answer;
using mill::test::Factory;
using Catch::Contains;

TEST_CASE("the event stream tells changes, and Last-Event-ID goes on where it ended", "[factory][api]")
{
    Factory factory;
    factory.deploy();
    const test::Headers admin{{"authorization", "Bearer " + factory.admin}};
    const auto stream = factory.start("GET", "/v1/events", "", admin);
    CHECK(stream.answer().type == "text/event-stream");
    const Answer run = factory.as_admin("POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"1"}})");
    const std::string job = run.json["jobUid"].as_string();
    REQUIRE(stream.wait_pieces(job));
    CHECK_THAT(stream.pieces(), Contains("event: job") && Contains("\"what\":\"ready\""));
    const std::string text = stream.pieces();
    const auto at = text.find("id: ");
    REQUIRE(at != std::string::npos);
    const int first = std::stoi(text.substr(at + 4));
    stream.hang_up();

    test::Headers resumed = admin;
    resumed.emplace_back("last-event-id", std::to_string(first - 1));
    const auto again = factory.start("GET", "/v1/events", "", resumed);
    CHECK(again.wait_pieces(fmt::format("id: {}\n", first)));
    resumed.back().second = "yesterday";
    CHECK(factory.start("GET", "/v1/events", "", resumed).answer().status == 400);

    const auto narrowed = factory.start("GET", "/v1/events?job=" + job, "", admin);
    REQUIRE(factory.as_admin("PUT", "/v1/environments/noise", "{}").status == 201);
    REQUIRE(factory.as_admin("POST", "/v1/jobs/" + job + "/cancel").status == 200);
    CHECK(narrowed.wait_pieces("cancelled"));
    CHECK_THAT(narrowed.pieces(), !Contains("noise"));
}

TEST_CASE("the stream of a token that was ended ends, and tells nothing more", "[factory][api]")
{
    Factory factory;
    factory.deploy();
    const Answer made = factory.as_admin("POST", "/v1/tokens", R"({"kind":"user","name":"ann","role":"viewer"})");
    const auto stream = factory.start("GET", "/v1/events", "", {{"authorization", "Bearer " + made.json["token"].as_string()}});
    const auto other = factory.start("GET", "/v1/events", "", {{"authorization", "Bearer " + factory.admin}});
    REQUIRE(factory.as_admin("PUT", "/v1/environments/before", "{}").status == 201);
    REQUIRE(stream.wait_pieces("Environment/before"));
    REQUIRE(factory.as_admin("DELETE", "/v1/tokens/" + made.json["id"].as_string()).status == 204);
    REQUIRE(factory.as_admin("PUT", "/v1/environments/after", "{}").status == 201);
    REQUIRE(other.wait_pieces("Environment/after"));   // it was asked later than the other one
    CHECK_THAT(stream.pieces(), !Contains("Environment/after"));
}

TEST_CASE("the audit log says who changed what", "[factory][api]")
{
    Factory factory;
    factory.deploy();
    const Answer log = factory.as_admin("GET", "/v1/audit?limit=3");
    REQUIRE(log.json["items"].size() == 3);
    CHECK(log.json["items"][test::kFirst]["who"] == Json("admin"));
    CHECK(log.json["items"][test::kFirst]["remote"] == Json("127.0.0.1"));
    CHECK(log.json["next"].is_string());
    CHECK(factory.with_token(factory.trigger_token(), "GET", "/v1/audit").status == 403);
}

TEST_CASE("health, readiness and metrics", "[factory][api]")
{
    Factory factory;
    CHECK(factory.call("GET", "/healthz").json["status"] == Json("ok"));
    CHECK(factory.call("GET", "/readyz").status == 200);
    const Answer metrics = factory.call("GET", "/metrics");
    CHECK(metrics.status == 200);
    CHECK_THAT(metrics.text, Contains("millwright_jobs{state=\"ready\"} 0") && Contains("# TYPE millwright_agents gauge"));
    factory.remote = "192.0.2.7";
    CHECK(factory.call("GET", "/metrics").status == 401);
    CHECK(factory.as_admin("GET", "/metrics").status == 200);
}

TEST_CASE("the OpenAPI document names every route of the table and nothing else", "[factory][api]")
{
    Factory factory;
    const Answer document = factory.call("GET", "/v1/openapi.json");
    REQUIRE(document.status == 200);
    CHECK(document.json["openapi"] == Json("3.1.0"));
    std::size_t operations = 0;
    std::set<std::string> ids;
    for (const auto& [path, methods] : document.json["paths"].as_object())
        for (const auto& [method, operation] : methods.as_object()) {
            ++operations;
            INFO(method << " " << path);
            CHECK(ids.insert(operation["operationId"].as_string()).second);
            CHECK(operation["responses"].size() >= 2);
        }
    CHECK(operations == factory::routes().size());
    for (const factory::Route& route : factory::routes()) CHECK(document.json["paths"].contains(route.pattern));
}

TEST_CASE("how to call a trigger is shown with calls that run as they stand", "[factory][api]")
{
    Factory factory;
    factory.deploy();
    const Answer calls = factory.as_admin("GET", "/v1/triggers/order-status-api/calls");
    REQUIRE(calls.status == 200);
    CHECK(calls.json["examples"].size() == 3);
    CHECK(calls.json["urls"]["v1"] == Json("http://127.0.0.1:8321/v1/triggers/order-status-api/runs"));
    CHECK_FALSE(calls.json["ready"]["text"].as_string().empty());
    CHECK(calls.json["sample"]["input"] == *parse_json(R"({"order":"example"})"));
    CHECK(factory.as_admin("POST", "/v1/triggers/order-status-api/runs", dump_json(calls.json["sample"])).status == 202);
    for (const Json& example : calls.json["examples"].as_array()) CHECK_THAT(example.as_string(), !Contains("${"));
}

TEST_CASE("a notifier is tried out for real, and the answer of the other side is shown", "[factory][api]")
{
    factory::ApiOptions options;
    Json seen;
    options.test_notifier = [&seen](const factory::Document& notifier, const Json& sample) -> Result<Json> {
        seen = sample;
        return Json::object({{"ok", false}, {"error", Json(notifier.name + " answered 401")}});
    };
    options.check_notifier = [](const Json& spec) -> Status {
        if (dump_json(spec).find("nonsense") != std::string::npos) return fail(Errc::invalid, "the template is nonsense");
        return {};
    };
    Factory factory(options);
    factory.deploy();
    CHECK(factory.as_admin("PUT", "/v1/notifiers/n", R"({"trigger":"order-status-api","on":"success","type":"api","api":{"url":"https://x.example.com"}})").status == 201);
    const Answer tried = factory.as_admin("POST", "/v1/notifiers/n/test", R"({"invocationContext":{"conversationId":"c-9"},"output":{"reply":"hi"}})");
    CHECK(tried.status == 200);
    CHECK(tried.json["error"] == Json("n answered 401"));
    CHECK(seen["invocationContext"]["conversationId"] == Json("c-9"));
    CHECK(factory.as_admin("POST", "/v1/notifiers/nothing/test", "{}").status == 404);
    const Answer wrong = factory.as_admin("PUT", "/v1/notifiers/m", R"({"trigger":"order-status-api","on":"success","type":"api","api":{"url":"https://x.example.com/nonsense"}})");
    CHECK(wrong.status == 400);
    CHECK_THAT(wrong.detail(), Contains("Notifier 'm'") && Contains("nonsense"));
}
