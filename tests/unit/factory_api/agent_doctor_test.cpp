// An agent is asked to examine itself, and to run a canary.
#include <catch2/catch.hpp>

#include "factory/core.h"
#include "platform/base/encode.h"
#include "protocol/canary.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using namespace std::chrono_literals;
using mill::test::Answer;
using mill::test::Factory;
using mill::test::HandAgent;
using Catch::Contains;

namespace {

constexpr std::string_view kKnows = R"({"want":0,"knows":["doctor","tea"]})", kChecks = R"([{"check":"disk","state":"error","text":"3 MiB free","fix":"make room"}])";

test::Pending park(Factory& factory, HandAgent& agent, std::string_view body)
{
    return factory.start("POST", "/agent/v1/offers", body, {{"authorization", "Bearer " + agent.token}});
}

}  // namespace

TEST_CASE("an agent that is away or too old for it is not asked to examine itself", "[factory][api][doctor]")
{
    Factory factory;
    CHECK(factory.as_admin("POST", "/v1/agents/nobody/doctor", "{}").status == 404);
    CHECK(factory.as_admin("GET", "/v1/agents/nobody/doctor").status == 404);
    HandAgent agent(factory, "srv-1");
    factory.deploy();
    agent.join();
    const Answer unseen = factory.as_admin("POST", "/v1/agents/srv-1/doctor", "{}");
    CHECK(unseen.status == 409);
    CHECK_THAT(unseen.detail(), Contains("srv-1") && Contains("not been seen") && Contains("millwright-agent doctor"));
    const auto poll = agent.poll(1);
    CHECK_FALSE(poll.done(50ms));
    const Answer old = factory.as_admin("POST", "/v1/agents/srv-1/doctor", "{}");
    CHECK(old.status == 409);
    CHECK_THAT(old.detail(), Contains("too old"));
    CHECK(factory.as_admin("GET", "/v1/agents/srv-1/doctor").json["state"] == Json("none"));
    REQUIRE(agent.say("goodbye", R"({"why":"stopped by anna"})").status == 204);
    CHECK_THAT(factory.as_admin("POST", "/v1/agents/srv-1/doctor", "{}").detail(), Contains("offline since") && Contains("stopped by anna"));
}

TEST_CASE("the ask goes out with the parked poll, the report is kept, and only the one that was asked for", "[factory][api][doctor]")
{
    Factory factory;
    factory.deploy();
    HandAgent agent(factory, "srv-1");
    agent.join();
    const auto poll = park(factory, agent, kKnows);
    CHECK_FALSE(poll.done(50ms));
    const Answer asked = factory.as_admin("POST", "/v1/agents/srv-1/doctor", "{}");
    REQUIRE(asked.status == 202);
    CHECK(asked.json["state"] == Json("asked"));
    const std::string id = asked.json["id"].as_string();
    CHECK(poll.answer().json["doctor"]["id"] == Json(id));
    CHECK(factory.as_admin("POST", "/v1/agents/srv-1/doctor", "{}").json["id"] == Json(id));   // it is the same ask
    const auto next = park(factory, agent, kKnows);
    CHECK_FALSE(next.done(50ms));   // not said again at once
    CHECK(agent.say("doctor", R"({"id":"another","checks":[]})").status == 409);
    CHECK(agent.say("doctor", R"({"id":")" + id + R"(","checks":[{"check":"disk","state":"so-so"}]})").status == 400);
    CHECK(factory.as_admin("GET", "/v1/agents/srv-1/doctor").json["state"] == Json("asked"));

    SECTION("a report")
    {
        REQUIRE(agent.say("doctor", R"({"id":")" + id + R"(","checks":)" + std::string(kChecks) + "}").status == 204);
        const Answer kept = factory.as_admin("GET", "/v1/agents/srv-1/doctor");
        CHECK(kept.json["state"] == Json("answered"));
        CHECK(kept.json["report"]["ok"] == Json(false));
        CHECK(kept.json["report"]["checks"][test::kFirst]["fix"] == Json("make room"));
        CHECK_THAT(factory.as_admin("GET", "/v1/audit").text, Contains("doctor"));
        // It is shown with the reasons of a job that waits for this agent, and stays while another one is on its way.
        REQUIRE(agent.say("goodbye", "{}").status == 204);
        const std::string uid = factory.as_admin("POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"1"}})").json["jobUid"].as_string();
        CHECK_THAT(factory.as_admin("GET", "/v1/jobs/" + uid + "/why").text, Contains("agent_doctor") && Contains("3 MiB free"));
    }
    SECTION("no report, and why")
    {
        REQUIRE(agent.say("doctor", R"({"id":")" + id + R"(","problem":"it did not end within 60 s"})").status == 204);
        const Answer kept = factory.as_admin("GET", "/v1/agents/srv-1/doctor");
        CHECK(kept.json["state"] == Json("failed"));
        CHECK_THAT(kept.json["problem"].as_string(), Contains("60 s"));
        CHECK(factory.as_admin("POST", "/v1/agents/srv-1/doctor", "{}").json["id"] != Json(id));
    }
    SECTION("an agent that leaves in the middle of it")
    {
        REQUIRE(agent.say("goodbye", "{}").status == 204);
        CHECK_THAT(factory.as_admin("GET", "/v1/agents/srv-1/doctor").json["problem"].as_string(), Contains("went offline"));
    }
    SECTION("a frozen agent is not asked")
    {
        REQUIRE(factory.as_admin("PATCH", "/v1/agents/srv-1", R"({"frozen":true})").status == 200);
        CHECK_THAT(factory.as_admin("POST", "/v1/agents/srv-1/doctor", "{}").detail(), Contains("frozen"));
    }
    SECTION("roles: a viewer reads, and asks nothing")
    {
        const std::string viewer = factory.as_admin("POST", "/v1/tokens", R"({"kind":"user","name":"v","role":"viewer"})").json["token"].as_string();
        CHECK(factory.with_token(viewer, "GET", "/v1/agents/srv-1/doctor").status == 200);
        CHECK(factory.with_token(viewer, "POST", "/v1/agents/srv-1/doctor", "{}").status == 403);
        CHECK(factory.with_token(viewer, "POST", "/v1/agents/srv-1/canary", "{}").status == 403);
        const std::string operates = factory.as_admin("POST", "/v1/tokens", R"({"kind":"user","name":"o","role":"operator"})").json["token"].as_string();
        CHECK(factory.with_token(operates, "POST", "/v1/agents/srv-1/canary", "{}").status == 202);
    }
}

TEST_CASE("a canary goes to its agent alone, whatever its environment says, and leaves no document", "[factory][api][canary]")
{
    Factory factory;
    factory.deploy();
    HandAgent one(factory, "srv-1"), two(factory, "srv-2");
    one.join();
    two.join();
    REQUIRE(factory.as_admin("PUT", "/v1/environments/it-services", R"({"kind":"Environment","name":"it-services","agents":["other-*"]})").status < 300);
    REQUIRE(factory.as_admin("PATCH", "/v1/agents/srv-2", R"({"paused":true})").status == 200);
    const auto first = one.poll(1);
    CHECK_FALSE(first.done(50ms));
    const auto second = two.poll(1);
    const Answer begun = factory.as_admin("POST", "/v1/agents/srv-1/canary", R"({"withinMs":5000})");
    REQUIRE(begun.status == 202);
    const Json offer = first.answer().json["offers"][test::kFirst];
    CHECK(offer["package"]["digest"] == Json(protocol::kCanaryDigest));
    CHECK(offer["job"] == begun.json["jobUid"]);
    CHECK(offer["permissions"].empty());
    const Answer package = factory.call("GET", "/agent/v1/packages/" + std::string(protocol::kCanaryDigest), {}, {{"authorization", "Bearer " + offer["attemptToken"].as_string()}});
    CHECK(package.status == 200);
    CHECK("sha256:" + to_hex(platform::sha256(package.text)) == protocol::kCanaryDigest);
    REQUIRE(one.finish(offer, "successful", R"({"canary":"well"})").status == 200);
    const std::string job = begun.json["jobUid"].as_string();
    CHECK(factory.as_admin("GET", "/v1/jobs/" + job).json["state"] == Json("successful"));
    CHECK_THAT(factory.as_admin("GET", "/v1/jobs/" + job + "/timeline").text, Contains("package_sent"));
    CHECK(factory.as_admin("GET", "/v1/triggers").json["items"].size() == 1);
    CHECK(factory.as_admin("GET", "/v1/deployments").json["items"].size() == 1);

    const Answer held = factory.as_admin("POST", "/v1/agents/srv-2/canary", R"({"withinMs":5000})");
    REQUIRE(held.status == 202);
    const Answer why = factory.as_admin("GET", "/v1/jobs/" + held.json["jobUid"].as_string() + "/why");
    CHECK_THAT(why.text, Contains("waits for agent 'srv-2'") && Contains("agents set srv-2 --resume") && !Contains("srv-1"));
    CHECK_FALSE(second.done(50ms));
    REQUIRE(factory.as_admin("PATCH", "/v1/agents/srv-2", R"({"paused":false})").status == 200);
    CHECK(second.answer().json["offers"][test::kFirst]["job"] == held.json["jobUid"]);

    CHECK(factory.as_admin("POST", "/v1/agents/nobody/canary", "{}").status == 404);
    CHECK(factory.as_admin("POST", "/v1/agents/srv-1/canary", R"({"withinMs":5})").status == 400);
    CHECK(factory.as_admin("PUT", "/v1/packages/millwright-canary/1.0.0?digest=sha256:" + std::string(64, 'a'), "bytes").status == 409);
}
