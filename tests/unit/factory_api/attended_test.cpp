#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::test::Answer;
using mill::test::Factory;
using mill::test::kFirst;
using Catch::Contains;

TEST_CASE("an attended trigger is started by those whom it is assigned to, and by nobody else", "[factory][api][attended]")
{
    Factory factory;
    factory.deploy();
    const auto token = [&](const std::string& name, const std::string& role) {
        return factory.as_admin("POST", "/v1/tokens", fmt::format(R"({{"kind":"user","name":"{}","role":"{}"}})", name, role)).json["token"].as_string();
    };
    const std::string anna = token("anna", "viewer"), otto = token("otto", "operator"), dora = token("dora", "developer");
    const Answer put = factory.as_admin("PUT", "/v1/triggers/mine", R"({"deployment":"order-status","type":"attended","assignedTo":["user:anna","developer"]})");
    INFO(put.text);
    REQUIRE(put.status == 201);
    CHECK(put.json["runOn"] == Json("attended"));
    const std::string own = factory.as_admin("POST", "/v1/triggers/mine/token").json["token"].as_string();
    const std::string key = factory.as_admin("POST", "/v1/environments/it-services/key").json["token"].as_string();
    const auto start = [&](const std::string& who) { return factory.with_token(who, "POST", "/v1/triggers/mine/runs", R"({"input":{"order":"1"}})"); };
    CHECK(start(anna).status == 202);
    CHECK(start(dora).status == 202);
    const Answer refused = start(otto);
    CHECK(refused.status == 403);
    CHECK_THAT(refused.detail(), Contains("assigned to user anna or role developer: user otto does not start it"));
    CHECK(start(own).status == 403);
    CHECK(factory.call("POST", "/runtime/v1/apiTriggers/mine/runs", R"({"input":{"order":"1"}})", {{"irpa-api-key", key}}).status == 403);
    CHECK(start(factory.admin).status == 202);   // an admin is a developer, too

    const auto listed = [&](std::string_view query) { return factory.with_token(anna, "GET", fmt::format("/v1/triggers?{}", query)).json["items"]; };
    CHECK(listed("type=attended&for=anna").size() == 1);
    CHECK(listed("for=dora")[kFirst]["name"] == Json("mine"));
    CHECK(listed("type=attended&for=otto").size() == 0);
    CHECK(listed("type=attended&for=nobody").size() == 0);
    CHECK(listed("type=api").size() == 1);
    CHECK(factory.as_admin("GET", "/v1/deployments?for=anna").status == 400);
    CHECK_THAT(factory.as_admin("PUT", "/v1/triggers/x", R"({"deployment":"order-status","type":"attended"})").detail(), Contains("'assignedTo'"));
    CHECK_THAT(factory.as_admin("PUT", "/v1/triggers/x", R"({"deployment":"order-status","assignedTo":["user:anna"]})").detail(), Contains("'type: attended'"));
}
