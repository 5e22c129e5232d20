#include <catch2/catch.hpp>

#include "agent/broker/effects.h"

using namespace mill;

namespace {

const Json kLogin = Json::object({{"erp", Json::object({{"username", "anna"}, {"password", "pass-of-erp-7781"}, {"hosts", Json::array({"erp.example.com"})}})}});

broker::Outcome<Json> revealed(const Json& permissions, Json handles, const Json& credentials = kLogin)
{
    auto grants = broker::make_grants(permissions, credentials);
    REQUIRE(grants);
    broker::HttpClients clients;
    broker::EffectContext context{**grants, clients, system_clock().steady() + Milliseconds(20'000), {}};
    return broker::perform({1, "credential.reveal", Json::object({{"handles", std::move(handles)}}), Milliseconds(20'000)}, context);
}

const Json kBoth = Json::object({{"credentials", Json::array({"erp", "crm"})}, {"reveal", Json::array({"erp"})}});

}  // namespace

TEST_CASE("a value leaves the broker when the grants say so of its credential, and only then", "[broker][reveal]")
{
    CHECK(revealed(kBoth, Json::array({"erp.password", "erp.username"})) ==
          Json::object({{"values", Json::object({{"erp.password", "pass-of-erp-7781"}, {"erp.username", "anna"}})}}));
    const auto refusal = [](const Json& permissions, const char* handle) {
        const auto outcome = revealed(permissions, Json::array({"erp.username", handle}));
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error().type == "authorization");
        CHECK(outcome.error().status == 403);
        return outcome.error().detail;
    };
    CHECK_THAT(refusal(kBoth, "crm.token"), Catch::Contains("'crm'") && Catch::Contains("reveal: [ \"crm\" ]"));
    CHECK_THAT(refusal(kBoth, "other.token"), Catch::Contains("credentials: [ \"other\" ]"));
    CHECK_THAT(refusal(Json::object({{"credentials", Json::array({"erp"})}}), "erp.password"), Catch::Contains("reveal: [ \"erp\" ]"));
    CHECK_THAT(refusal(Json::object({{"credentials", Json::array({"*"})}, {"reveal", Json::array({"*"})}}), "erp.password"), Catch::Contains("credentials: [ \"erp\" ]"));
}

TEST_CASE("what is no secret's text, or was not given, is named", "[broker][reveal]")
{
    CHECK_THAT(revealed(kBoth, Json::array({"erp.pin"})).error().detail, Catch::Contains("no text 'pin'"));
    CHECK(revealed(kBoth, Json::array({"erp.hosts"})).error().status == 401);
    CHECK(revealed(kBoth, Json::array({"erp"})).error().status == 401);
    CHECK_THAT(revealed(kBoth, Json::array({"erp.password"}), Json::object()).error().detail, Catch::Contains("maps it to nothing"));
    CHECK(revealed(kBoth, Json::array()).error().status == 400);
    CHECK(revealed(kBoth, Json::array({1})).error().status == 400);
    Json many = Json::array();
    for (int i = 0; i < 65; ++i) many.push("erp.password");
    CHECK(revealed(kBoth, many).error().status == 400);
}

TEST_CASE("other effects still take no secret", "[broker][reveal]")
{
    auto grants = broker::make_grants(kBoth, kLogin);
    broker::HttpClients clients;
    broker::EffectContext context{**grants, clients, system_clock().steady() + Milliseconds(20'000), {}};
    for (const char* effect : {"command.start", "file.write", "credential.reveal"}) {
        const auto outcome = broker::perform({1, effect, Json::object({{"handles", Json::array({"\xEE\x80\x80" "erp.password\xEE\x80\x81"})}}), Milliseconds(1'000)}, context);
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error().status == 403);
    }
}
