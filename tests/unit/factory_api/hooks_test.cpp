#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/crypto.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::test::Answer;
using mill::test::Factory;
using mill::test::kFirst;
using Catch::Contains;

namespace {

constexpr std::string_view kKey = "a key of twenty-four byt";

struct Hooked : Factory {
    explicit Hooked(std::string_view signature)
    {
        deploy();
        REQUIRE(as_admin("PUT", "/v1/credentials/hook", fmt::format(R"({{"kind":"hmac","value":{{"secret":"{}"}}}})", signature == "github" ? std::string(kKey) : "whsec_" + to_base64(kKey))).status == 201);
        const Answer put = as_admin("PUT", "/v1/triggers/pushed", fmt::format(R"({{"deployment":"order-status","type":"event","input":{{"region":"eu"}},
            "event":{{"webhook":{{"signature":"{}","credentials":"hook"}},"input":{{"order":"${{ .body.order }}"}}}}}})", signature));
        INFO(put.text);
        REQUIRE(put.status == 201);
    }
    Answer standard(std::string_view id, std::string_view body, std::int64_t ago = 0, std::string_view key = kKey, std::string_view path = "/v1/hooks/pushed")
    {
        const std::int64_t time = system_clock().now().microseconds / 1'000'000 - ago;
        const std::string signature = "v1," + to_base64(platform::hmac_sha256(key, fmt::format("{}.{}.{}", id, time, body)));
        return call("POST", path, body, {{"content-type", "application/json"}, {"webhook-id", std::string(id)}, {"webhook-timestamp", std::to_string(time)}, {"webhook-signature", signature}});
    }
    Answer github(std::string_view id, std::string_view body, std::string_view key = kKey)
    {
        return call("POST", "/v1/hooks/pushed", body, {{"content-type", "application/json"}, {"x-github-delivery", std::string(id)}, {"x-github-event", "push"},
                                                       {"x-hub-signature-256", "sha256=" + to_hex(platform::hmac_sha256(key, body))}});
    }
    Json jobs() { return as_admin("GET", "/v1/jobs").json["items"]; }
};

}  // namespace

TEST_CASE("a signed webhook starts a job, once for each id", "[factory][api][hooks]")
{
    Hooked factory("standard-webhooks");
    const Answer started = factory.standard("msg-1", R"({"type":"order.paid","order":"4711"})");
    INFO(started.text);
    REQUIRE(started.status == 202);
    const Json job = factory.as_admin("GET", "/v1/jobs/" + started.json["jobUid"].as_string()).json;
    CHECK(job["input"] == *parse_json(R"({"region":"eu","order":"4711"})"));
    CHECK(job["invocationContext"] == *parse_json(R"({"event":{"webhook":"standard-webhooks","id":"msg-1","type":"order.paid"}})"));
    CHECK(job["requestedBy"] == Json("webhook standard-webhooks"));
    CHECK(factory.standard("msg-1", R"({"type":"order.paid","order":"4711"})").json["jobUid"] == started.json["jobUid"]);
    factory.restart();
    CHECK(factory.standard("msg-1", R"({"type":"order.paid","order":"4711"})").json["jobUid"] == started.json["jobUid"]);
    CHECK(factory.standard("msg-1", R"({"type":"order.paid","order":"4712"})").status == 422);
    CHECK(factory.jobs().size() == 1);

    // Forged, old, for a trigger that is none, or takes none: the same answer, and no job.
    const Answer nothing = factory.standard("msg-2", R"({"order":"1"})", 0, kKey, "/v1/hooks/nothing-here");
    CHECK(nothing.status == 401);
    for (const Answer& refused : {factory.standard("msg-2", R"({"order":"1"})", 0, "another key"), factory.standard("msg-2", R"({"order":"1"})", 400),
                                  factory.standard("msg-2", R"({"order":"1"})", 0, kKey, "/v1/hooks/order-status-api"), factory.call("POST", "/v1/hooks/pushed", "{}"),
                                  factory.call("POST", "/v1/hooks/pushed", "{}", {{"authorization", "Bearer " + factory.admin}})}) {
        CHECK(refused.status == 401);
        CHECK(refused.text == nothing.text);
    }
    CHECK(factory.standard("msg-3", R"({"order":)").status == 400);
    const Answer unfit = factory.standard("msg-4", R"({"order":7})");
    CHECK(unfit.status == 400);
    CHECK_THAT(unfit.detail(), Contains("/order"));
    CHECK(factory.jobs().size() == 1);
}

TEST_CASE("a webhook that is signed as GitHub does starts a job", "[factory][api][hooks]")
{
    Hooked factory("github");
    const Answer started = factory.github("d-1", R"({"order":"4711"})");
    INFO(started.text);
    REQUIRE(started.status == 202);
    CHECK(factory.github("d-1", R"({"order":"4711"})").json["jobUid"] == started.json["jobUid"]);
    CHECK(factory.as_admin("GET", "/v1/jobs/" + started.json["jobUid"].as_string()).json["invocationContext"]["event"]["type"] == Json("push"));
    CHECK(factory.github("d-2", R"({"order":"4711"})", "another key").status == 401);
    CHECK(factory.github(std::string(201, 'x'), R"({"order":"4711"})").status == 400);
    CHECK(factory.jobs().size() == 1);
}

TEST_CASE("what a trigger may say of its events", "[factory][api][hooks]")
{
    Factory factory;
    factory.deploy();
    const auto put = [&](std::string_view name, std::string_view event) {
        return factory.as_admin("PUT", fmt::format("/v1/triggers/{}", name), fmt::format(R"({{"deployment":"order-status","type":"event","event":{}}})", event));
    };
    const auto wrong = [&](std::string_view event, int status = 400) {
        const Answer answer = put("x", event);
        CHECK(answer.status == status);
        return answer.detail();
    };
    CHECK_THAT(wrong("{}"), Contains("exactly one of them"));
    CHECK_THAT(wrong(R"({"file":"/in/*.csv"})"), Contains("file"));
    CHECK_THAT(wrong(R"({"job":{}})"), Contains("exactly one of them says whose"));
    CHECK_THAT(wrong(R"({"job":{"trigger":"order-status-api","on":["done"]}})"), Contains("'done'"));
    CHECK_THAT(wrong(R"({"job":{"trigger":"order-status-api"},"input":{"a":"${ .nothing }"}})"), Contains("nothing"));
    CHECK_THAT(wrong(R"({"job":{"trigger":"nobody"}})", 409), Contains("trigger 'nobody' is not there"));
    CHECK_THAT(wrong(R"({"webhook":{"signature":"github","credentials":"none"}})", 409), Contains("credential 'none' is not there"));
    const std::string secret = wrong(R"({"webhook":{"signature":"github","credentials":"A Secret!"}})");
    CHECK_THAT(secret, Contains("names a credential") && !Contains("A Secret!"));
    CHECK_THAT(factory.as_admin("PUT", "/v1/triggers/x", R"({"deployment":"order-status","event":{}})").detail(), Contains("'type: event'"));

    // Triggers that would start each other for ever.
    CHECK_THAT(wrong(R"({"job":{"deployment":"order-status"}})", 409), Contains("x → x"));
    REQUIRE(put("after", R"({"job":{"trigger":"order-status-api"}})").status == 201);
    REQUIRE(put("last", R"({"job":{"trigger":"after","on":["failure"]}})").status == 201);
    const Answer loop = put("after", R"({"job":{"trigger":"last"}})");
    CHECK(loop.status == 409);
    CHECK_THAT(loop.detail(), Contains("after → last → after"));
    const Answer both = factory.as_admin("POST", "/v1/apply", R"({"documents":[
        {"kind":"Trigger","name":"a","deployment":"order-status","type":"event","event":{"job":{"trigger":"b"}}},
        {"kind":"Trigger","name":"b","deployment":"order-status","type":"event","event":{"job":{"trigger":"a"}}}]})");
    CHECK(both.status == 409);
    CHECK(factory.as_admin("GET", "/v1/triggers/a").status == 404);
    const Answer used = factory.as_admin("DELETE", "/v1/triggers/after");
    CHECK(used.status == 409);
    CHECK_THAT(used.detail(), Contains("Trigger 'last' uses"));
    CHECK(factory.as_admin("DELETE", "/v1/triggers/last").status == 204);
    CHECK(factory.as_admin("DELETE", "/v1/triggers/after").status == 204);
}
