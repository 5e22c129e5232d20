// Publishers, signatures of packages, and what an environment demands of them, through the API.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/fingerprint.h"
#include "protocol/signature.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::test::Factory;
using mill::test::HandAgent;
using mill::test::kFirst;
using Catch::Contains;

namespace {

constexpr std::string_view kPackage = "/v1/packages/order-status/1.2.0";
const std::string kManifest = "sha256:" + std::string(64, 'b');

std::string text_of(const platform::SigningKey& key) { return protocol::key_text(key.public_key); }

/// The body that signs order-status@1.2.0, as what `version` and `digest` say it is.
std::string signed_by(Factory& factory, const platform::SigningKey& key, std::string version = "1.2.0", std::string digest = {})
{
    if (digest.empty()) digest = factory.as_admin("GET", kPackage).json["digest"].as_string();
    const std::string said = protocol::package_statement("order-status", version, digest, kManifest);
    return dump_json(protocol::to_json(protocol::SignatureFile{"order-status", "1.2.0", digest, {{key.public_key, kManifest, *platform::sign(key.private_key, said)}}}));
}

mill::test::Answer sign(Factory& factory, const std::string& body) { return factory.as_admin("POST", std::string(kPackage) + "/signatures", body); }

mill::test::Answer publisher(Factory& factory, const std::string& name, const std::string& keys, const std::string& revoked = "[]")
{
    return factory.as_admin("PUT", "/v1/publishers/" + name, fmt::format(R"({{"keys":{},"revoked":{}}})", keys, revoked));
}

std::string list(const platform::SigningKey& key) { return fmt::format(R"(["{}"])", text_of(key)); }

}  // namespace

TEST_CASE("a signature is kept with its version when it fits, and shown with whose it is", "[factory][api][signature]")
{
    Factory factory;
    factory.deploy();
    const auto acme = platform::make_signing_key(), thief = platform::make_signing_key();
    CHECK_FALSE(factory.as_admin("GET", kPackage).json.contains("signatures"));
    const auto added = sign(factory, signed_by(factory, acme));
    REQUIRE(added.status == 200);
    CHECK(added.json["signatures"][kFirst]["standing"] == Json("unknown"));
    CHECK(added.json["signatures"][kFirst]["fingerprint"] == Json(platform::fingerprint(acme.public_key)));
    REQUIRE(publisher(factory, "acme", list(acme)).status == 201);
    const auto known = factory.as_admin("GET", "/v1/packages").json["items"][kFirst]["signatures"];
    CHECK(known[kFirst]["publisher"] == Json("acme"));
    CHECK(known[kFirst]["standing"] == Json("counts"));
    CHECK(sign(factory, signed_by(factory, acme)).status == 200);   // said again
    CHECK(factory.as_admin("GET", kPackage).json["signatures"].size() == 1);

    CHECK(sign(factory, signed_by(factory, thief, "1.1.0")).status == 422);   // it signed another version
    CHECK(sign(factory, signed_by(factory, thief, "1.2.0", kManifest)).status == 409);   // other bytes
    CHECK(factory.as_admin("POST", "/v1/packages/order-status/9.0.0/signatures", signed_by(factory, acme)).status == 400);
    CHECK_THAT(sign(factory, R"({"signatures":[]})").detail(), Contains("package"));
    CHECK(sign(factory, "{").status == 400);
    CHECK(factory.as_admin("GET", kPackage).json["signatures"].size() == 1);
    factory.restart();
    CHECK(factory.as_admin("GET", kPackage).json["signatures"][kFirst]["publisher"] == Json("acme"));
}

TEST_CASE("a version has sixteen signatures at most", "[factory][api][signature]")
{
    Factory factory;
    factory.deploy();
    for (std::size_t i = 0; i < protocol::kMostSignatures; ++i) REQUIRE(sign(factory, signed_by(factory, platform::make_signing_key())).status == 200);
    const auto more = sign(factory, signed_by(factory, platform::make_signing_key()));
    CHECK(more.status == 409);
    CHECK_THAT(more.detail(), Contains("16"));
}

TEST_CASE("whose signatures count says an administrator; a revoked key stays so, and a key has one owner", "[factory][api][signature]")
{
    Factory factory;
    factory.deploy();
    const auto acme = platform::make_signing_key(), next = platform::make_signing_key();
    const std::string token = factory.as_admin("POST", "/v1/tokens", R"({"kind":"user","name":"dev","role":"developer"})").json["token"].as_string();
    const std::string body = fmt::format(R"({{"keys":{}}})", list(acme));
    CHECK(factory.with_token(token, "PUT", "/v1/publishers/acme", body).status == 403);
    const std::string applied = fmt::format(R"({{"documents":[{{"kind":"Publisher","name":"acme","keys":{}}}]}})", list(acme));
    const auto refused = factory.with_token(token, "POST", "/v1/apply", applied);
    CHECK(refused.status == 403);
    CHECK_THAT(refused.detail(), Contains("administrator"));
    CHECK(factory.as_admin("POST", "/v1/apply", applied).status == 200);
    CHECK(factory.with_token(token, "POST", "/v1/apply", applied).status == 200);   // nothing changes by it
    CHECK(factory.with_token(token, "POST", std::string(kPackage) + "/signatures", signed_by(factory, acme)).status == 200);   // who publishes may sign

    CHECK_THAT(publisher(factory, "acme", R"(["nonsense"])").detail(), Contains("ed25519:BASE64"));
    CHECK_THAT(publisher(factory, "acme", fmt::format(R"(["{0}","{0}"])", text_of(acme))).detail(), Contains("there already"));
    CHECK_THAT(publisher(factory, "acme", list(acme), list(acme)).detail(), Contains("there already"));
    CHECK_THAT(publisher(factory, "zeta", list(acme)).detail(), Contains("that of Publisher 'acme'"));
    CHECK(publisher(factory, "acme", fmt::format(R"(["{}","{}"])", text_of(acme), text_of(next))).status == 200);
    CHECK(publisher(factory, "acme", list(next), list(acme)).status == 200);
    CHECK_THAT(publisher(factory, "acme", list(next)).detail(), Contains("was revoked, and stays so"));
    CHECK(factory.as_admin("GET", kPackage).json["signatures"][kFirst]["standing"] == Json("revoked"));
}

TEST_CASE("an environment that demands signatures refuses deployments, and jobs once the key is revoked", "[factory][api][signature]")
{
    Factory factory;
    factory.deploy();
    const auto acme = platform::make_signing_key(), next = platform::make_signing_key();
    const auto demand = [&](std::string_view publishers) { return factory.as_admin("PUT", "/v1/environments/it-services", fmt::format(R"({{"agents":["*"],"requireSigned":{}}})", publishers)); };
    const auto run = [&] { return factory.as_admin("POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"1"}})"); };
    CHECK_THAT(demand(R"(["acme"])").detail(), Contains("no Publisher 'acme'"));
    REQUIRE(publisher(factory, "acme", list(acme)).status == 201);
    const auto early = demand(R"(["acme"])");
    CHECK(early.status == 409);
    CHECK_THAT(early.detail(), Contains("deployment 'order-status'") && Contains("nobody signed it") && Contains("millwright packages sign order-status@1.2.0"));
    REQUIRE(sign(factory, signed_by(factory, acme)).status == 200);
    REQUIRE(demand(R"(["acme"])").status == 200);
    CHECK(factory.as_admin("DELETE", "/v1/publishers/acme").status == 409);
    CHECK(run().status == 202);
    const std::string token = factory.as_admin("POST", "/v1/tokens", R"({"kind":"user","name":"dev","role":"developer"})").json["token"].as_string();
    CHECK(factory.with_token(token, "PUT", "/v1/environments/it-services", R"({"agents":["*"]})").status == 403);
    CHECK(factory.with_token(token, "PUT", "/v1/environments/it-services", R"({"agents":["srv-*"],"requireSigned":["acme"]})").status == 200);

    REQUIRE(publisher(factory, "acme", list(next), list(acme)).status == 200);
    const auto refused = run();
    CHECK(refused.status == 409);
    CHECK_THAT(refused.detail(), Contains("has to be signed by acme") && Contains("which was revoked"));
    const auto preflight = factory.as_admin("GET", "/v1/deployments/order-status/preflight");
    CHECK(preflight.json["blocked"] == Json(true));
    CHECK_THAT(preflight.json["text"].as_string(), Contains("has to be signed by acme"));
    CHECK(factory.as_admin("PUT", "/v1/deployments/second", R"({"package":"order-status@1.2.0","environment":"it-services"})").status == 409);
    REQUIRE(sign(factory, signed_by(factory, next)).status == 200);
    CHECK(run().status == 202);
    CHECK(factory.as_admin("PUT", "/v1/deployments/second", R"({"package":"order-status@1.2.0","environment":"it-services"})").status == 201);
}

TEST_CASE("an agent gets publishers with its identity, signatures with an offer, and revoked keys before it", "[factory][api][signature]")
{
    Factory factory;
    factory.deploy();
    const auto acme = platform::make_signing_key(), next = platform::make_signing_key();
    REQUIRE(publisher(factory, "acme", list(acme)).status == 201);
    REQUIRE(sign(factory, signed_by(factory, acme)).status == 200);
    HandAgent agent(factory, "srv-1");
    agent.join();
    CHECK(agent.enrolled["publishers"][kFirst]["name"] == Json("acme"));
    CHECK(agent.enrolled["publishers"][kFirst]["keys"][kFirst] == Json(text_of(acme)));
    CHECK(agent.session["revokedKeys"].empty());
    auto polled = agent.poll(1);
    REQUIRE(factory.as_admin("POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"1"}})").status == 202);
    auto answer = polled.answer();
    const Json offer = answer.json["offers"][kFirst];
    CHECK(offer["package"]["signatures"][kFirst]["key"] == Json(text_of(acme)));
    REQUIRE(protocol::parse_signatures(offer["package"]["signatures"], "signatures", true));
    CHECK_FALSE(answer.json.contains("revokedKeys"));
    REQUIRE(agent.finish(offer, "successful", "{}").status == 200);

    REQUIRE(publisher(factory, "acme", list(next), list(acme)).status == 200);
    polled = agent.poll(1);
    REQUIRE(factory.as_admin("POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"2"}})").status == 202);
    answer = polled.answer();
    CHECK(answer.json["offers"].size() == 1);
    CHECK(answer.json["revokedKeys"][kFirst] == Json(text_of(acme)));
}

TEST_CASE("a preflight says which agents would refuse a version for its signatures, and why", "[factory][api][signature]")
{
    Factory factory;
    factory.deploy();
    const auto acme = platform::make_signing_key();
    HandAgent strict(factory, "srv-strict"), before(factory, "srv-before");
    strict.join();
    before.join();
    REQUIRE(strict.say("session", fmt::format(R"({{"version":1,"must":[],"challenge":"x","facts":{{"policy":{{"unsigned":false,"publishers":{{"acme":["{}"]}},"revoked":[],"packages":[]}}}}}})",
                                                        platform::fingerprint(acme.public_key))).status == 200);
    const auto agent_of = [](const Json& preflight, const std::string& name) {
        for (const Json& agent : preflight["agents"].as_array())
            if (agent["name"].as_string() == name) return agent;
        return Json();
    };
    auto preflight = factory.as_admin("GET", "/v1/deployments/order-status/preflight").json;
    CHECK(agent_of(preflight, "srv-strict")["can"] == Json("no"));
    CHECK(agent_of(preflight, "srv-strict")["reasons"][kFirst]["code"] == Json("agent_refuses"));
    CHECK_THAT(agent_of(preflight, "srv-strict")["reasons"][kFirst]["text"].as_string(), Contains("policy.yaml of srv-strict") && Contains("order-status 1.2.0"));
    CHECK(agent_of(preflight, "srv-before")["can"] == Json("later"));   // it does not say: nothing is foretold
    REQUIRE(sign(factory, signed_by(factory, acme)).status == 200);
    preflight = factory.as_admin("GET", "/v1/deployments/order-status/preflight").json;
    CHECK(agent_of(preflight, "srv-strict")["can"] == Json("later"));
}
