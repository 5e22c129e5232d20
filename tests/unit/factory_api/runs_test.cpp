#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::test::Answer;
using mill::test::Factory;
using mill::test::HandAgent;
using Catch::Contains;

namespace {

constexpr std::string_view kRuns = "/v1/triggers/order-status-api/runs";
constexpr std::string_view kBody = R"({"invocationContext":{"conversationId":"c-1"},"input":{"order":"4711"}})";

std::string job_of(const Answer& answer)
{
    INFO(answer.text);
    REQUIRE(answer.status == 202);
    REQUIRE_FALSE(answer.json["jobUid"].as_string().empty());
    return answer.json["jobUid"].as_string();
}

}  // namespace

TEST_CASE("integers of a call are exact or refused", "[factory][api]")
{
    Factory factory;
    factory.deploy();
    const std::string token = factory.trigger_token();
    const Answer exact = factory.with_token(token, "POST", kRuns, R"({"input":{"order":"4711","number":-9223372036854775808}})");
    CHECK(factory.as_admin("GET", "/v1/jobs/" + job_of(exact)).json["input"]["number"] == Json(std::numeric_limits<std::int64_t>::min()));
    for (const char* beyond : {"9223372036854775808", "-9223372036854775809", "123456789012345678901234567890"}) {
        const Answer refused = factory.with_token(token, "POST", kRuns, fmt::format(R"({{"input":{{"order":"4711","number":{}}}}})", beyond));
        CHECK(refused.status == 400);
        CHECK_THAT(refused.text, Contains(beyond));
    }
}

TEST_CASE("a call is answered at once with the job, where to look, and what it waits for", "[factory][api]")
{
    Factory factory;
    factory.deploy();
    const std::string token = factory.trigger_token();
    const Answer answer = factory.with_token(token, "POST", kRuns, kBody);
    const std::string job = job_of(answer);
    CHECK(answer.json["state"] == Json("ready"));
    CHECK(answer.json["statusUrl"] == Json("http://127.0.0.1:8321/v1/jobs/" + job));
    CHECK(answer.json["waitingFor"].is_string());
    CHECK_FALSE(answer.json["waitingFor"].as_string().empty());

    SECTION("the same reason is in the list, in the job and in why")
    {
        const Answer list = factory.as_admin("GET", "/v1/jobs?state=ready");
        REQUIRE(list.json["items"].size() == 1);
        CHECK(list.json["items"][test::kFirst]["waitingFor"].is_string());
        CHECK(factory.as_admin("GET", "/v1/jobs/" + job).json["waitingFor"] == list.json["items"][test::kFirst]["waitingFor"]);
        const Answer why = factory.as_admin("GET", "/v1/jobs/" + job + "/why");
        CHECK(list.json["items"][test::kFirst]["waitingFor"] == answer.json["waitingFor"]);
        CHECK_THAT(answer.json["waitingFor"].as_string(), Contains(why.json["text"].as_string()) && Contains("millwright agents invite"));
        CHECK_FALSE(why.json["reasons"].empty());
        CHECK_THAT(factory.as_admin("GET", "/v1/why").json["text"].as_string(), Contains("1 job waits"));
    }
    SECTION("the trigger's own input lies below the caller's")
    {
        CHECK(factory.as_admin("GET", "/v1/jobs/" + job).json["input"] == *parse_json(R"({"region":"eu","order":"4711"})"));
    }
    SECTION("the token reads the jobs that it started, without their input, and nothing else")
    {
        const Answer own = factory.with_token(token, "GET", "/v1/jobs/" + job);
        CHECK(own.status == 200);
        CHECK(own.json["state"] == Json("ready"));
        CHECK_FALSE(own.json.contains("input"));
        const std::string other = job_of(factory.as_admin("POST", kRuns, kBody));
        CHECK(factory.with_token(token, "GET", "/v1/jobs/" + other).status == 403);
        const Answer list = factory.with_token(token, "GET", "/v1/jobs");
        CHECK(list.status == 403);
        CHECK_THAT(list.detail(), Contains("viewer"));
    }
    SECTION("a job that waits is cancelled at once, and only once")
    {
        const Answer cancelled = factory.as_admin("POST", "/v1/jobs/" + job + "/cancel", R"({"why":"not needed"})");
        CHECK(cancelled.status == 200);
        CHECK(cancelled.json["state"] == Json("cancelled"));
        CHECK(cancelled.json["cancel"]["why"] == Json("not needed"));
        CHECK(factory.as_admin("POST", "/v1/jobs/" + job + "/cancel").status == 409);
        const Answer retried = factory.as_admin("POST", "/v1/jobs/" + job + "/retry");
        CHECK(retried.status == 202);
        CHECK(retried.json["retryOf"] == Json(job));
    }
    SECTION("an unknown job")
    {
        for (const std::string_view what : {"", "/timeline", "/why", "/log", "/steps", "/deliveries"})
            CHECK(factory.as_admin("GET", fmt::format("/v1/jobs/nothing{}", what)).status == 404);
    }
}

TEST_CASE("the same Idempotency-Key makes one job, with another body it is refused", "[factory][api]")
{
    Factory factory;
    factory.deploy();
    const std::string first = job_of(factory.as_admin("POST", kRuns, kBody, {{"idempotency-key", "k-1"}}));
    const Answer again = factory.as_admin("POST", kRuns, kBody, {{"idempotency-key", "k-1"}});
    CHECK(job_of(again) == first);
    CHECK(again.headers.at("Idempotent-Replayed") == "true");
    const Answer other = factory.as_admin("POST", kRuns, R"({"input":{"order":"4712"}})", {{"idempotency-key", "k-1"}});
    CHECK(other.status == 422);
    CHECK(job_of(factory.as_admin("POST", kRuns, kBody, {{"idempotency-key", "k-2"}})) != first);
    CHECK(factory.as_admin("GET", "/v1/jobs").json["items"].size() == 2);
}

TEST_CASE("a paused trigger takes no calls and says who paused it", "[factory][api]")
{
    Factory factory;
    factory.deploy();
    CHECK(factory.as_admin("POST", "/v1/triggers/order-status-api/pause", R"({"why":"the ERP is down"})").status == 200);
    const Answer refused = factory.as_admin("POST", kRuns, kBody);
    CHECK(refused.status == 409);
    CHECK_THAT(refused.detail(), Contains("the ERP is down") && Contains("admin"));
    // Applying the file again does not start it by accident.
    CHECK(factory.as_admin("PUT", "/v1/triggers/order-status-api", R"({"deployment":"order-status","priority":"high"})").json["status"]["paused"] == Json(true));
    CHECK(factory.as_admin("POST", "/v1/triggers/order-status-api/resume").json["status"]["paused"] == Json(false));
    job_of(factory.as_admin("POST", kRuns, kBody));
}

TEST_CASE("SAP's two forms start a job with their own headers", "[factory][api][sap]")
{
    Factory factory;
    factory.deploy();
    const std::string uid = factory.as_admin("GET", "/v1/triggers/order-status-api").json["status"]["uid"].as_string();
    const std::string token = factory.trigger_token();
    const Answer key = factory.as_admin("POST", "/v1/environments/it-services/key");
    REQUIRE(key.status == 201);
    const std::string api_key = key.json["token"].as_string();
    const std::string first = "/apitrigger/v1/triggers/" + uid + "/run", second = "/runtime/v1/apiTriggers/" + uid + "/runs";

    SECTION("the first, with the token in the header, whatever bearer comes along")
    {
        job_of(factory.call("POST", first, kBody, {{"irpa-trigger-token", token}, {"authorization", "Bearer an-old-token-of-another-system"}}));
    }
    SECTION("the first, with the token in the body, which is not stored")
    {
        const std::string job = job_of(factory.call("POST", first, fmt::format(R"({{"irpaTriggerToken":"{}","invocationContext":{{}},"input":{{"order":"1"}}}})", token)));
        const Answer stored = factory.as_admin("GET", "/v1/jobs/" + job);
        CHECK_THAT(stored.text, !Contains("irpaTriggerToken") && !Contains(token.substr(30)));
    }
    SECTION("the second, with the key of the environment, under both prefixes and by name")
    {
        job_of(factory.call("POST", second, kBody, {{"irpa-api-key", api_key}}));
        job_of(factory.call("POST", "/public/irpa" + second, kBody, {{"irpa-api-key", api_key}}));
        job_of(factory.call("POST", "/runtime/v1/apiTriggers/order-status-api/runs", kBody, {{"irpa-api-key", api_key}}));
    }
    SECTION("the second, after fetching a bearer with client id and secret first")
    {
        const std::string id = token.substr(11, 12);
        const Answer granted = factory.call("POST", "/oauth/token?grant_type=client_credentials", "", {{"authorization", "Basic " + to_base64(id + ":" + token)}});
        REQUIRE(granted.status == 200);
        job_of(factory.call("POST", second, kBody, {{"authorization", "Bearer " + granted.json["access_token"].as_string()}}));
        CHECK(factory.call("POST", "/oauth/token?grant_type=client_credentials", "", {{"authorization", "Basic " + to_base64(id + ":wrong")}}).status == 401);
    }
    SECTION("refusals carry SAP's shape, too")
    {
        const Answer wrong = factory.call("POST", first, kBody, {{"irpa-trigger-token", "nonsense"}});
        CHECK(wrong.status == 401);
        CHECK(wrong.json["error"]["status"] == Json(401));
        CHECK_FALSE(wrong.json["error"]["message"].as_string().empty());
        CHECK_FALSE(wrong.json["error"]["correlationId"].as_string().empty());
        CHECK(wrong.json["error"]["details"].size() == 1);
        CHECK(factory.call("POST", first, "{}").status == 401);
        CHECK(factory.call("POST", second, kBody, {{"irpa-api-key", token}}).status == 401);           // a trigger's token is no key
        CHECK(factory.call("POST", "/runtime/v1/apiTriggers/other/runs", kBody, {{"irpa-api-key", api_key}}).status == 404);
        const Answer literal = factory.call("POST", first, R"({"invocationContext":"${invocation_context}"})", {{"irpa-trigger-token", token}});
        CHECK(literal.status == 400);
        CHECK_THAT(literal.json["error"]["message"].as_string(), Contains("placeholder"));
    }
    SECTION("a key opens its own environment only")
    {
        REQUIRE(factory.as_admin("PUT", "/v1/environments/other", "{}").status == 201);
        const Answer other = factory.as_admin("POST", "/v1/environments/other/key");
        const Answer refused = factory.call("POST", second, kBody, {{"irpa-api-key", other.json["token"].as_string()}});
        CHECK(refused.status == 403);
        CHECK_THAT(refused.detail(), Contains("'other'") && Contains("'it-services'"));
    }
}

TEST_CASE("two tokens of a trigger are valid at a time; the third ends the first", "[factory][api]")
{
    Factory factory;
    factory.deploy();
    const std::string first = factory.trigger_token(), second = factory.trigger_token();
    CHECK(factory.as_admin("POST", "/v1/triggers/order-status-api/token").status == 409);
    job_of(factory.with_token(first, "POST", kRuns, kBody));
    const Answer third = factory.as_admin("POST", "/v1/triggers/order-status-api/token?rotate=true");
    REQUIRE(third.status == 201);
    CHECK(factory.with_token(first, "POST", kRuns, kBody).status == 401);
    job_of(factory.with_token(second, "POST", kRuns, kBody));
    job_of(factory.with_token(third.json["token"].as_string(), "POST", kRuns, kBody));
    const Answer list = factory.as_admin("GET", "/v1/triggers/order-status-api/tokens");
    CHECK(list.json["items"].size() == 2);
    CHECK_THAT(list.text, !Contains("mw_trigger_"));
}

TEST_CASE("roles: each token does what it is for", "[factory][api]")
{
    Factory factory;
    factory.deploy();
    const auto token_with = [&](std::string_view role) {
        const Answer made = factory.as_admin("POST", "/v1/tokens", fmt::format(R"({{"kind":"user","name":"anna","role":"{}"}})", role));
        REQUIRE(made.status == 201);
        return made.json["token"].as_string();
    };
    const std::string viewer = token_with("viewer"), oper = token_with("operator"), developer = token_with("developer");
    CHECK(factory.with_token(viewer, "GET", "/v1/jobs").status == 200);
    CHECK(factory.with_token(viewer, "POST", kRuns, kBody).status == 403);
    CHECK(factory.with_token(oper, "POST", kRuns, kBody).status == 202);
    CHECK(factory.with_token(oper, "PUT", "/v1/environments/e", "{}").status == 403);
    CHECK(factory.with_token(developer, "PUT", "/v1/environments/e", "{}").status == 201);
    const Answer refused = factory.with_token(developer, "POST", "/v1/tokens", R"({"kind":"admin","name":"x"})");
    CHECK(refused.status == 403);
    CHECK_THAT(refused.detail(), Contains("admin") && Contains("developer"));
    CHECK(factory.with_token(viewer, "GET", "/v1/session").json["role"] == Json("viewer"));

    const std::string id = factory.as_admin("GET", "/v1/tokens?kind=admin").json["items"][test::kFirst]["id"].as_string();
    CHECK(factory.as_admin("DELETE", "/v1/tokens/" + id).status == 409);   // the last one
    const Answer second = factory.as_admin("POST", "/v1/tokens", R"({"kind":"admin","name":"berta"})");
    REQUIRE(second.status == 201);
    CHECK(factory.as_admin("DELETE", "/v1/tokens/" + id).status == 204);
    CHECK(factory.as_admin("GET", "/v1/jobs").status == 401);
    CHECK(factory.with_token(second.json["token"].as_string(), "GET", "/v1/jobs").status == 200);
}
