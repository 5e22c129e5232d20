// Variables and credentials of an Environment are its deployments' until they say otherwise; what a job gets is settled when one of the two is saved.
#include <filesystem>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "platform/base/ids.h"
#include "platform/files.h"
#include "tests/unit/factory_api/factory.h"
#include "workflows/package.h"

using namespace mill;
using mill::test::Factory;
using mill::test::HandAgent;
using mill::test::kFirst;
using Catch::Contains;

namespace {

const std::string& package_bytes()
{
    static const std::string bytes = [] {
        const std::string folder = (std::filesystem::temp_directory_path() / ("mill-values-" + new_uid())).string();
        REQUIRE(platform::make_folder(folder));
        REQUIRE(platform::write_file(folder + "/package.yaml", "name: values\nversion: 1.0.0\nworkflow: main.yaml\n"
                                                               "variables:\n  region: { type: string, default: eu }\n  host: { type: string, required: true }\n"
                                                               "credentials:\n  erp: { kind: login }\n"
                                                               "permissions:\n  network: [ { variable: host } ]\n"));
        REQUIRE(platform::write_file(folder + "/main.yaml", "document: { dsl: 1.0.3, namespace: tests, name: values, version: 1.0.0 }\ndo:\n  - a: { set: { x: 1 } }\n"));
        auto packed = workflows::pack(folder);
        std::filesystem::remove_all(folder);
        if (!packed) FAIL(packed.error().what);
        return std::move(*packed);
    }();
    return bytes;
}

constexpr std::string_view kDeployment = "/v1/deployments/values", kEnvironment = "/v1/environments/prod";

struct World {
    Factory factory;
    World()
    {
        REQUIRE(factory.as_admin("PUT", "/v1/packages/values/1.0.0?digest=" + workflows::package_digest(package_bytes()), package_bytes(), {{"content-type", "application/octet-stream"}}).status == 201);
        for (const char* name : {"erp-prod", "erp-own"})
            REQUIRE(factory.as_admin("PUT", fmt::format("/v1/credentials/{}", name), R"({"kind":"login","value":{"username":"u","password":"long-secret-1"}})").status == 201);
    }
    mill::test::Answer environment(const std::string& host, std::string_view query = "", const std::string& more = "")
    {
        return factory.as_admin("PUT", std::string(kEnvironment) + std::string(query),
                                fmt::format(R"({{"agents":["*"],"variables":{{"host":"{}","unknown":7}},"credentials":{{"erp":"erp-prod","other":"erp-own"}}{}}})", host, more));
    }
    mill::test::Answer deployment(const std::string& more = "")
    {
        return factory.as_admin("PUT", kDeployment, fmt::format(R"({{"package":"values@1.0.0","environment":"prod"{}}})", more));
    }
    Json stored() { return factory.as_admin("GET", kDeployment).json; }
};

}  // namespace

TEST_CASE("a deployment has its environment's values where it says none of its own, of what its package declares", "[factory][api][values]")
{
    World world;
    REQUIRE(world.environment("https://a.example.com").status == 201);
    REQUIRE(world.deployment().status == 201);
    const Json status = world.stored()["status"];
    CHECK(status["inherited"] == *parse_json(R"({"variables":{"host":"https://a.example.com"},"credentials":{"erp":"erp-prod"}})"));
    CHECK_FALSE(world.stored().contains("inherited"));
    CHECK(status["granted"]["network"][kFirst] == Json("https://a.example.com"));
    REQUIRE(world.deployment(R"(,"variables":{"host":"https://own.example.com"},"credentials":{"erp":"erp-own"})").status == 409);   // it asks for another host
    REQUIRE(world.factory.as_admin("PUT", std::string(kDeployment) + "?accept=true", R"({"package":"values@1.0.0","environment":"prod","variables":{"host":"https://own.example.com"},"credentials":{"erp":"erp-own"}})").status == 200);
    CHECK_FALSE(world.stored()["status"].contains("inherited"));
    const Json values = world.factory.as_admin("GET", std::string(kDeployment) + "/preflight").json["values"];
    CHECK(values["variables"] == *parse_json(R"({"region":{"value":"eu","from":"package"},"host":{"value":"https://own.example.com","from":"deployment"}})"));
    CHECK(values["credentials"]["erp"] == *parse_json(R"({"value":"erp-own","from":"deployment"})"));
}

TEST_CASE("a change of an environment settles its deployments in the same step, or is refused naming one", "[factory][api][values]")
{
    World world;
    REQUIRE(world.environment("https://a.example.com").status == 201);
    REQUIRE(world.deployment().status == 201);
    const auto before = world.stored();
    const auto widened = world.environment("https://b.example.com");
    CHECK(widened.status == 409);
    CHECK_THAT(widened.detail(), Contains("Environment 'prod'") && Contains("Deployment 'values'") && Contains("https://b.example.com") && Contains("--accept"));
    CHECK(widened.json["missing"].size() == 1);
    CHECK(world.stored()["status"]["generation"] == before["status"]["generation"]);
    CHECK(world.factory.as_admin("GET", kEnvironment).json["variables"]["host"] == Json("https://a.example.com"));   // nothing was written

    const auto dry = world.environment("https://b.example.com", "?accept=true&dryRun=true");
    CHECK(dry.json["with"][kFirst]["name"] == Json("values"));
    CHECK_THAT(dump_json(dry.json["with"][kFirst]["differences"]), Contains("/inherited/variables/host"));
    CHECK(world.stored()["status"]["generation"] == before["status"]["generation"]);
    REQUIRE(world.environment("https://b.example.com", "?accept=true").status == 200);
    CHECK(world.stored()["status"]["inherited"]["variables"]["host"] == Json("https://b.example.com"));
    CHECK(world.stored()["status"]["granted"]["network"][kFirst] == Json("https://b.example.com"));

    const auto broken = world.factory.as_admin("PUT", std::string(kEnvironment) + "?accept=true", R"({"agents":["*"],"credentials":{"erp":"erp-prod"}})");
    CHECK(broken.status == 400);
    CHECK_THAT(broken.detail(), Contains("Deployment 'values'") && Contains("variable 'host'") && Contains("required"));
    const auto wrong = world.factory.as_admin("PUT", kEnvironment, R"({"agents":["*"],"variables":{"host":7},"credentials":{"erp":"erp-prod"}})");
    CHECK_THAT(wrong.detail(), Contains("must be of type string"));
    CHECK_THAT(world.factory.as_admin("PUT", kEnvironment, R"({"agents":["*"],"variables":{"host":"https://b.example.com"},"credentials":{"erp":"nobody"}})").detail(), Contains("'nobody', which is not there"));
    CHECK(world.factory.as_admin("PUT", kEnvironment, R"({"agents":["*"],"credentials":{"erp":7}})").status == 400);

    const auto applied = world.factory.as_admin("POST", "/v1/apply", R"({"accept":true,"documents":[{"kind":"Environment","name":"prod","agents":["*"],"variables":{"host":"https://c.example.com"},"credentials":{"erp":"erp-own"}}]})");
    REQUIRE(applied.status == 200);
    CHECK(applied.json["results"].size() == 2);
    CHECK(applied.json["results"][std::size_t{1}]["name"] == Json("values"));
    CHECK(world.stored()["status"]["inherited"]["credentials"]["erp"] == Json("erp-own"));
    // Both in one apply: the deployment is held against the environment as it will be.
    const auto both = world.factory.as_admin("POST", "/v1/apply", R"({"accept":true,"documents":[{"kind":"Deployment","name":"values","package":"values@1.0.0","environment":"prod"},
        {"kind":"Environment","name":"prod","agents":["*"],"variables":{"host":"https://d.example.com"},"credentials":{"erp":"erp-own"}}]})");
    REQUIRE(both.status == 200);
    CHECK(world.stored()["status"]["inherited"]["variables"]["host"] == Json("https://d.example.com"));
    const auto gone = world.factory.as_admin("DELETE", "/v1/credentials/erp-own");
    CHECK(gone.status == 409);
    CHECK_THAT(gone.detail(), Contains("Environment 'prod'") && Contains("Deployment 'values'"));
}

TEST_CASE("new jobs have the new values at once, those that were accepted keep theirs", "[factory][api][values]")
{
    World world;
    REQUIRE(world.environment("https://a.example.com").status == 201);
    REQUIRE(world.deployment().status == 201);
    REQUIRE(world.factory.as_admin("PUT", "/v1/triggers/values-api", R"({"deployment":"values","type":"api"})").status == 201);
    const auto run = [&] { REQUIRE(world.factory.as_admin("POST", "/v1/triggers/values-api/runs", R"({"input":{}})").status == 202); };
    run();
    REQUIRE(world.environment("https://b.example.com", "?accept=true").status == 200);
    run();
    world.factory.restart();
    const std::string code = world.factory.as_admin("POST", "/v1/agents/invitations", R"({"environment":"prod","approve":true})").json["code"].as_string();
    REQUIRE_FALSE(code.empty());
    HandAgent agent(world.factory, "srv-1");
    agent.join();
    REQUIRE(world.factory.as_admin("PATCH", "/v1/agents/srv-1", R"({"environment":"prod"})").status == 200);
    auto polled = agent.poll(2).answer();
    if (polled.json["offers"].size() < 2) {   // the first one ends, then the second comes
        const Json first = polled.json["offers"][kFirst];
        CHECK(first["variables"] == *parse_json(R"({"region":"eu","host":"https://a.example.com"})"));
        CHECK(first["credentials"] == *parse_json(R"({"erp":"erp-prod"})"));
        REQUIRE(agent.finish(first, "successful", "{}").status == 200);
        polled = agent.poll(2).answer();
        CHECK(polled.json["offers"][kFirst]["variables"]["host"] == Json("https://b.example.com"));
        return;
    }
    CHECK(polled.json["offers"][kFirst]["variables"] == *parse_json(R"({"region":"eu","host":"https://a.example.com"})"));
    CHECK(polled.json["offers"][kFirst]["credentials"] == *parse_json(R"({"erp":"erp-prod"})"));
    CHECK(polled.json["offers"][std::size_t{1}]["variables"]["host"] == Json("https://b.example.com"));
}
