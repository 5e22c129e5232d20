// Drafts, decommissioned versions, rollback and what a stale apply may do, through the API.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::test::Factory;
using mill::test::kFirst;
using Catch::Contains;

namespace {

constexpr std::string_view kState = "/v1/packages/order-status/1.2.0/state";
constexpr std::string_view kDeployment = "/v1/deployments/order-status";
constexpr std::string_view kBody = R"({"package":"order-status@1.2.0","environment":"it-services"})";

}  // namespace

TEST_CASE("a version's state is read with it, and wrong ones are refused with what there is", "[factory][api][versions]")
{
    Factory factory;
    factory.deploy();
    CHECK(factory.as_admin("GET", "/v1/packages/order-status/1.2.0").json["state"] == Json("released"));
    const auto wrong = factory.as_admin("PUT", kState, R"({"state":"gone","resaon":"x"})");
    CHECK(wrong.status == 400);
    CHECK_THAT(wrong.detail(), Contains("draft, released, deprecated, decommissioned") && Contains("'resaon' is not known here"));
    CHECK(factory.as_admin("PUT", kState, R"({})").status == 400);
    CHECK(factory.as_admin("PUT", "/v1/packages/order-status/9.0.0/state", R"({"state":"released"})").status == 404);
    const auto deprecated = factory.as_admin("PUT", kState, R"({"state":"deprecated","reason":"use 1.3"})");
    CHECK(deprecated.status == 200);
    CHECK(deprecated.json["stateChanged"]["reason"] == Json("use 1.3"));
    const auto applied = factory.as_admin("POST", "/v1/apply", R"({"documents":[{"kind":"Deployment","name":"second","package":"order-status@1.2.0","environment":"it-services"}]})");
    REQUIRE(applied.status == 200);
    CHECK_THAT(applied.json["results"][kFirst]["warnings"][kFirst].as_string(), Contains("was deprecated by") && Contains("use 1.3"));
    CHECK(factory.as_admin("PUT", kState, R"({"state":"draft"})").status == 409);
    CHECK(factory.as_admin("PUT", kState, R"({"state":"decommissioned","reason":"twice"})").status == 200);
    const auto run = factory.as_admin("POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"1"}})");
    CHECK(run.status == 409);
    CHECK(run.json["type"] == Json("urn:millwright:problem:decommissioned"));
    CHECK_THAT(run.detail(), Contains("was decommissioned by") && Contains("twice"));
    const auto third = factory.as_admin("PUT", "/v1/deployments/third", kBody);
    CHECK(third.status == 409);
    CHECK_THAT(third.detail(), Contains("was decommissioned by"));
    CHECK(factory.as_admin("PUT", "/v1/deployments/third?force=true", kBody).status == 409);
    CHECK(factory.as_admin("PUT", kDeployment, kBody).status == 200);   // it stands there already
}

TEST_CASE("a rollback wants a developer, a version that was, and says what it cannot do", "[factory][api][versions]")
{
    Factory factory;
    factory.deploy();
    const auto rollback = [&](std::string_view body) { return factory.as_admin("POST", "/v1/deployments/order-status/rollback", body); };
    CHECK_THAT(rollback("{}").detail(), Contains("no version before order-status@1.2.0"));
    CHECK(rollback("{}").json["type"] == Json("urn:millwright:problem:no_version"));
    CHECK_THAT(rollback(R"({"to":"1.0.0"})").detail(), Contains("never had order-status@1.0.0; it had order-status@1.2.0"));
    CHECK_THAT(rollback(R"({"to":"1.2.0"})").detail(), Contains("is at order-status@1.2.0 already"));
    CHECK(rollback(R"({"too":"1.2.0"})").status == 400);
    CHECK(rollback(fmt::format(R"({{"why":"{}"}})", std::string(1001, 'x'))).status == 400);
    CHECK(rollback(R"({"to":"1.2.0","rebindWaiting":true})").json["rebound"] == Json(0));
    const auto made = factory.as_admin("POST", "/v1/tokens", R"({"kind":"user","name":"op","role":"operator"})");
    const std::string token = made.json["token"].as_string();
    CHECK(factory.with_token(token, "POST", "/v1/deployments/order-status/rollback", "{}").status == 403);
    CHECK(factory.with_token(token, "PUT", kState, R"({"state":"deprecated"})").status == 403);
    CHECK(factory.with_token(token, "GET", "/v1/deployments/order-status/preflight").status == 200);
    CHECK(factory.as_admin("GET", "/v1/deployments/order-status/preflight?limit=0").status == 400);
    const auto history = factory.as_admin("GET", "/v1/deployments/order-status/history");
    CHECK(history.json["items"].size() == 1);
    CHECK(history.json["items"][kFirst]["what"] == Json("applied"));
    const auto why = factory.as_admin("GET", "/v1/deployments/order-status/why");
    CHECK(why.json["reasons"][kFirst]["code"] == Json("no_agents"));
}
