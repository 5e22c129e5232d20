// What an attempt's token and its agent's key get from POST /agent/v1/credentials/sealed, and what they do not.
#include <filesystem>

#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/crypto_hpke.h"
#include "platform/files.h"
#include "protocol/sealed.h"
#include "tests/unit/factory_api/factory.h"
#include "workflows/package.h"

using namespace mill;
using mill::test::Answer;
using mill::test::Factory;
using mill::test::HandAgent;
using Catch::Contains;

namespace {

std::string package_with_credential()
{
    const std::string folder = (std::filesystem::temp_directory_path() / ("mill-package-" + new_uid())).string();
    REQUIRE(platform::make_folder(folder));
    REQUIRE(platform::write_file(folder + "/package.yaml", "name: order-status\nversion: 1.2.0\nworkflow: main.yaml\n"
                                                           "credentials: { erp-login: { kind: login } }\npermissions: { credentials: [ erp-login ] }\n"));
    REQUIRE(platform::write_file(folder + "/main.yaml", "document: { dsl: 1.0.3, namespace: it-services, name: order-status, version: 1.2.0 }\n"
                                                        "do:\n  - answer:\n      set: { reply: '${ .order }' }\n"));
    auto bytes = workflows::pack(folder);
    std::filesystem::remove_all(folder);
    if (!bytes) FAIL(bytes.error().what);
    return *bytes;
}

/// A factory whose only deployment uses a credential, an agent, and attempts that it was offered.
struct SealedWorld {
    Factory factory;
    HandAgent agent{factory, "srv-1"};
    platform::SealingKey broker = platform::make_sealing_key();

    SealedWorld()
    {
        REQUIRE(factory.upload(package_with_credential()).status == 201);
        store("");
        const Answer applied = factory.as_admin("POST", "/v1/apply", R"({"documents":[
            {"kind":"Trigger","name":"order-status-api","deployment":"order-status"},
            {"kind":"Deployment","name":"order-status","package":"order-status@1.2.0","environment":"it-services",
             "credentials":{"erp-login":"erp-prod"},"permissions":"as-requested"},
            {"kind":"Environment","name":"it-services","agents":["srv-*"]}]})");
        INFO(applied.text);
        REQUIRE(applied.status == 200);
        agent.join();
    }
    void store(std::string_view more)
    {
        const Answer stored = factory.as_admin("PUT", "/v1/credentials/erp-prod", fmt::format(R"({{"kind":"login","value":{{"username":"anna","password":"hunter2-long"}},"hosts":["https://erp.example.com"]{}}})", more));
        INFO(stored.text);
        REQUIRE((stored.status == 200 || stored.status == 201));
    }
    Json offer()
    {
        const Answer run = factory.call("POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"1"}})", {{"authorization", "Bearer " + factory.trigger_token()}});
        INFO(run.text);
        REQUIRE(run.status == 202);
        return agent.poll(1).answer().json["offers"][test::kFirst];
    }
    static protocol::AttemptId id_of(const Json& offer) { return *protocol::parse_attempt_id(offer); }
    static std::string body(std::string_view key, std::string_view signature, std::string_view name = "erp-login")
    {
        return dump_json(Json::object({{"names", Json::array({Json(name)})}, {"key", to_base64(key)}, {"signature", to_base64(signature)}}));
    }
    std::string signed_by(const platform::SigningKey& key, const protocol::AttemptId& id) const
    {
        return *platform::sign(key.private_key, protocol::sealing_request(id, broker.public_key));
    }
    Answer ask(const Json& offer, const std::string& body) { return factory.with_token(offer["attemptToken"].as_string(), "POST", "/agent/v1/credentials/sealed", body); }
    Answer ask(const Json& offer) { return ask(offer, body(broker.public_key, signed_by(agent.key, id_of(offer)))); }
};

}  // namespace

TEST_CASE("an attempt's credentials come in a box that only its broker's key opens", "[factory][api][credentials]")
{
    SealedWorld world;
    const Json offer = world.offer();
    const Answer answer = world.ask(offer);
    INFO(answer.text);
    REQUIRE(answer.status == 200);
    CHECK_THAT(answer.text, !Contains("hunter2") && !Contains("anna"));
    CHECK(answer.headers.at("Cache-Control") == "no-store");
    const std::string box = *from_base64(answer.json["box"].as_string()), context = protocol::sealed_context(world.agent.id, world.id_of(offer));
    const auto plain = platform::open_sealed_by(world.broker, box, protocol::kSealedInfo, context);
    REQUIRE(plain);
    const auto values = protocol::read_boxed(*plain);
    REQUIRE(values);
    CHECK(values->credentials["erp-login"]["password"] == Json("hunter2-long"));
    CHECK(values->credentials["erp-login"]["kind"] == Json("login"));
    CHECK(values->credentials["erp-login"]["hosts"] == Json::array({"https://erp.example.com"}));
    CHECK_FALSE(platform::open_sealed_by(platform::make_sealing_key(), box, protocol::kSealedInfo, context));
    CHECK_FALSE(platform::open_sealed_by(world.broker, box, protocol::kSealedInfo, protocol::sealed_context("another", world.id_of(offer))));
    CHECK_FALSE(platform::open_sealed_by(world.broker, box, "another protocol", context));
}

TEST_CASE("credentials are not sealed to a key that this agent did not sign for this attempt", "[factory][api][credentials]")
{
    SealedWorld world;
    const Json offer = world.offer();
    const auto refused = [&](const std::string& body) {
        const Answer answer = world.ask(offer, body);
        CHECK(answer.status == 403);
        CHECK_THAT(answer.detail(), Contains("not signed by agent 'srv-1' for this attempt"));
    };
    const auto id = world.id_of(offer);
    const std::string good = world.signed_by(world.agent.key, id);
    SECTION("a damaged signature")
    {
        std::string bad = good;
        bad[5] = static_cast<char>(bad[5] ^ 1);
        refused(world.body(world.broker.public_key, bad));
    }
    SECTION("the key of somebody in the middle, with the signature of the agent's own") { refused(world.body(platform::make_sealing_key().public_key, good)); }
    SECTION("signed by another agent that is enrolled here, too")
    {
        HandAgent other(world.factory, "srv-2");
        other.join();
        refused(world.body(world.broker.public_key, world.signed_by(other.key, id)));
    }
    SECTION("said again for another attempt of the same agent")
    {
        const Json second = world.offer();
        CHECK(world.ask(second, world.body(world.broker.public_key, good)).status == 403);
        CHECK(world.ask(second).status == 200);
    }
}

TEST_CASE("a request for credentials that is none is refused by the member that is wrong", "[factory][api][credentials]")
{
    SealedWorld world;
    const Json offer = world.offer();
    const std::string signature = world.signed_by(world.agent.key, world.id_of(offer));
    const Answer short_key = world.ask(offer, world.body(std::string(31, 'k'), signature));
    CHECK(short_key.status == 400);
    CHECK_THAT(short_key.detail(), Contains("key") && Contains("32 bytes"));
    CHECK(world.ask(offer, world.body(world.broker.public_key, "short")).status == 400);
    CHECK(world.ask(offer, R"({"names":["erp-login"]})").status == 400);
    // A key of small order, properly signed, leads to no secret.
    const std::string zero(32, '\0');
    CHECK(world.ask(offer, world.body(zero, *platform::sign(world.agent.key.private_key, protocol::sealing_request(world.id_of(offer), zero)))).status == 400);
    CHECK(world.factory.with_token(world.agent.token, "POST", "/agent/v1/credentials/sealed", world.body(world.broker.public_key, signature)).status == 401);
    const Answer unbound = world.ask(offer, world.body(world.broker.public_key, signature, "nobody"));
    CHECK(unbound.status == 403);
    CHECK_THAT(unbound.detail(), Contains("binds no credential 'nobody'"));
}

TEST_CASE("an agent of an earlier version, which asks in plain, is told to be upgraded", "[factory][api][credentials]")
{
    SealedWorld world;
    const Json offer = world.offer();
    const Answer answer = world.factory.with_token(offer["attemptToken"].as_string(), "POST", "/agent/v1/credentials", R"({"names":["erp-login"]})");
    CHECK(answer.status == 426);
    CHECK_THAT(answer.detail(), Contains("upgrade millwright-agent"));
    CHECK_THAT(answer.text, !Contains("hunter2"));
}

TEST_CASE("a credential that is over or belongs elsewhere is refused by name", "[factory][api][credentials]")
{
    SealedWorld world;
    const Json offer = world.offer();
    SECTION("expired")
    {
        world.store(R"(,"expires":"2020-01-01")");
        const Answer answer = world.ask(offer);
        CHECK(answer.status == 409);
        CHECK_THAT(answer.detail(), Contains("credential 'erp-prod' expired at 2020-01-01"));
    }
    SECTION("of another environment")
    {
        REQUIRE(world.factory.as_admin("POST", "/v1/apply", R"({"documents":[{"kind":"Environment","name":"other","agents":["x-*"]}]})").status == 200);
        world.store(R"(,"environment":"other")");
        const Answer answer = world.ask(offer);
        CHECK(answer.status == 403);
        CHECK_THAT(answer.detail(), Contains("belongs to environment 'other'"));
    }
}

TEST_CASE("a credential that machines hold has no value here: the box says which it is", "[factory][api][credentials]")
{
    SealedWorld world;
    const Json before = world.offer();
    const Answer held = world.factory.as_admin("PUT", "/v1/credentials/erp-prod", R"({"kind":"login","held":"machine","hosts":["https://erp.example.com"]})");
    INFO(held.text);
    REQUIRE(held.status == 200);
    CHECK(held.json["held"] == Json("machine"));
    const Answer answer = world.ask(before);
    REQUIRE(answer.status == 200);
    const auto plain = platform::open_sealed_by(world.broker, *from_base64(answer.json["box"].as_string()), protocol::kSealedInfo, protocol::sealed_context(world.agent.id, world.id_of(before)));
    REQUIRE(plain);
    const auto boxed = protocol::read_boxed(*plain);
    REQUIRE(boxed);
    CHECK(boxed->credentials == Json::object());
    CHECK(boxed->machine["erp-login"] == *parse_json(R"({"name":"erp-prod","kind":"login","hosts":["https://erp.example.com"]})"));

    // A job that comes now waits for an agent that holds it.
    const Answer run = world.factory.call("POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"2"}})", {{"authorization", "Bearer " + world.factory.trigger_token()}});
    REQUIRE(run.status == 202);
    CHECK_THAT(world.agent.poll(1).answer().text, !Contains(run.json["jobUid"].as_string()));  // the first offer again, for it was not answered
    const std::string job = run.json["jobUid"].as_string();
    const Answer why = world.factory.as_admin("GET", "/v1/jobs/" + job + "/why");
    CHECK_THAT(why.text, Contains("missing_credential") && Contains("srv-1 does not hold credential 'erp-prod'"));
    REQUIRE(world.agent.say("session", R"({"version":1,"must":[],"challenge":"Y2hhbGxlbmdl","slots":2,"facts":{"os":"linux","credentials":["erp-prod"]},"held":[]})").status == 200);
    CHECK_THAT(world.agent.poll(1).answer().text, Contains(job));
}

TEST_CASE("what the factory itself sends cannot be held by machines", "[factory][api][credentials]")
{
    SealedWorld world;
    const auto put = [&](const std::string& body, const std::string& name = "hook-key") { return world.factory.as_admin("PUT", "/v1/credentials/" + name, body); };
    CHECK_THAT(put(R"({"kind":"hmac","held":"machine"})").detail(), Contains("'held' cannot be machine for kind hmac"));
    CHECK_THAT(put(R"({"kind":"bearer","held":"machine","value":{"token":"s3cret"}})").text, Contains("must not be here") && !Contains("s3cret"));
    CHECK(put(R"({"kind":"bearer","held":"nowhere"})").status == 400);
    CHECK(put(R"({"kind":"bearer"})").status == 400);
    const std::string notifier = R"({"documents":[{"kind":"Notifier","name":"n","trigger":"order-status-api","on":"all","type":"api",
        "api":{"url":"https://tools.example.com/hook","authentication":"bearer","credentials":"hook-key"}}]})";
    REQUIRE(put(R"({"kind":"bearer","held":"machine"})").status == 201);
    const Answer refused = world.factory.as_admin("POST", "/v1/apply", notifier);
    CHECK(refused.status == 409);
    CHECK_THAT(refused.text, Contains("held by the agents' machines"));
    REQUIRE(put(R"({"kind":"bearer","value":{"token":"t-1234567"}})").status == 200);
    REQUIRE(world.factory.as_admin("POST", "/v1/apply", notifier).status == 200);
    const Answer taken = put(R"({"kind":"bearer","held":"machine"})");
    CHECK(taken.status == 409);
    CHECK_THAT(taken.detail(), Contains("Notifier 'n'"));
}
