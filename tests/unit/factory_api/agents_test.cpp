#include <thread>

#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/fingerprint.h"
#include "protocol/identity.h"
#include "tests/unit/factory_api/factory.h"
#include "workflows/package.h"

using namespace mill;
using namespace std::chrono_literals;
using mill::test::Answer;
using mill::test::Factory;
using mill::test::HandAgent;
using Catch::Contains;

namespace {

constexpr std::string_view kRuns = "/v1/triggers/order-status-api/runs";
constexpr std::string_view kBody = R"({"invocationContext":{"conversationId":"c-1"},"input":{"order":"4711"}})";

}  // namespace

TEST_CASE("an agent enrols with its code, once, and the factory proves its key", "[factory][api][agents]")
{
    Factory factory;
    factory.deploy();
    HandAgent agent(factory, "srv-1");
    agent.join();
    CHECK(agent.enrolled["environment"] == Json("it-services"));
    CHECK(agent.enrolled["approved"] == Json(true));
    const auto key = from_base64(agent.enrolled["factoryKey"].as_string()), proof = from_base64(agent.session["factoryProof"].as_string());
    REQUIRE(key);
    REQUIRE(proof);
    CHECK(platform::verify(*key, "millwright-session:Y2hhbGxlbmdl", *proof));
    CHECK(agent.session["pollMs"].as_integer() > 0);

    SECTION("codes: a used one, a broken one, a name outside of the pattern")
    {
        const Answer invited = factory.as_admin("POST", "/v1/agents/invitations", R"({"name":"desk-*"})");
        REQUIRE(invited.status == 201);
        const std::string code = invited.json["code"].as_string();
        CHECK_THAT(factory.as_admin("GET", "/v1/agents/invitations").text, !Contains(code));
        HandAgent wrong_name(factory, "srv-2");
        CHECK(wrong_name.enrol(code).status == 400);
        HandAgent desk(factory, "desk-1"), late(factory, "desk-2");
        CHECK(desk.enrol(code).status == 201);
        CHECK(desk.enrol(code).status == 201);   // the same key again: the same answer
        const Answer used = late.enrol(code);
        CHECK(used.status == 403);
        CHECK(late.enrol("mw_code_x").status == 400);
        CHECK(late.enrol("mw_code_abcdefghijkl_" + std::string(64, '0')).status == 403);
    }
    SECTION("an invitation that names a mode makes an agent of it, and none of another one")
    {
        const auto invite = [&](const std::string& more) { return factory.as_admin("POST", "/v1/agents/invitations", R"({"name":"desk-*")" + more + "}").json["code"].as_string(); };
        const std::string code = invite(R"(,"mode":"attended")");
        HandAgent other(factory, "desk-1", "unattended"), desk(factory, "desk-1", ""), plain(factory, "desk-2", ""), said(factory, "desk-3", "attended");
        const Answer refused = other.enrol(code);
        CHECK(refused.status == 400);
        CHECK_THAT(refused.text, Contains("--mode attended"));
        const Answer made = desk.enrol(code);   // the code is not used up by who was refused
        CHECK(made.status == 201);
        CHECK(made.json["mode"] == Json("attended"));
        CHECK(factory.as_admin("GET", "/v1/agents/desk-1").json["mode"] == Json("attended"));
        CHECK(plain.enrol(invite("")).json["mode"] == Json("unattended"));
        CHECK(said.enrol(invite("")).json["mode"] == Json("attended"));
        HandAgent taker(factory, "desk-3", "");
        CHECK(taker.enrol(factory.as_admin("POST", "/v1/agents/invitations", R"({"name":"desk-3","takeOver":true})").json["code"].as_string()).json["mode"] == Json("attended"));
    }
    SECTION("the list shows it, a change of mode and a pause are kept")
    {
        const Answer list = factory.as_admin("GET", "/v1/agents");
        REQUIRE(list.json["items"].size() == 1);
        CHECK(list.json["items"][test::kFirst]["name"] == Json("srv-1"));
        CHECK(factory.as_admin("PATCH", "/v1/agents/srv-1", R"({"mode":"attended","paused":true})").json["mode"] == Json("attended"));
        CHECK(factory.as_admin("GET", "/v1/agents/srv-1").json["state"] == Json("paused"));
        CHECK(factory.as_admin("PATCH", "/v1/agents/srv-1", R"({"mood":"good"})").status == 400);
        CHECK(factory.as_admin("PATCH", "/v1/agents/nobody", R"({"paused":true})").status == 404);
        CHECK(factory.as_admin("DELETE", "/v1/agents/srv-1").status == 204);
        CHECK(agent.say("leases", R"({"attempts":[]})").status == 401);
    }
}

TEST_CASE("a session token comes from a signed assertion; a copied key is frozen", "[factory][api][agents]")
{
    Factory factory;
    factory.deploy();
    HandAgent agent(factory, "srv-1");
    agent.join();
    const Answer first = agent.ask_token(2, "j-2");
    REQUIRE(first.status == 200);
    CHECK(agent.ask_token(2, "j-2").json["access_token"] == first.json["access_token"]);

    SECTION("a signature by another key")
    {
        HandAgent thief(factory, "srv-1");
        thief.id = agent.id;
        thief.token_url = agent.token_url;
        CHECK(thief.ask_token(3, "j-3").status == 401);
        CHECK(agent.ask_token(3, "j-3").status == 200);
    }
    SECTION("an assertion for another factory")
    {
        const std::string here = std::exchange(agent.token_url, "http://elsewhere.example.com/agent/v1/token");
        CHECK(agent.ask_token(3, "j-3").status == 401);
        agent.token_url = here;
    }
    SECTION("a counter that another machine used already")
    {
        const Answer copied = agent.ask_token(2, "j-of-the-copy");
        CHECK(copied.status == 403);
        CHECK_THAT(copied.json["type"].as_string(), Contains("copied_key"));
        CHECK(agent.ask_token(4, "j-4").status == 403);   // frozen for both
        CHECK(agent.say("leases", R"({"attempts":[]})").status == 401);
        CHECK(factory.as_admin("GET", "/v1/agents/srv-1").json["state"] == Json("frozen"));
        REQUIRE(factory.as_admin("PATCH", "/v1/agents/srv-1", R"({"frozen":false})").status == 200);
        CHECK(agent.ask_token(5, "j-5").status == 200);
    }
    SECTION("a thief who changes the key first: the owner's old key freezes both, and the answer says which keys")
    {
        const platform::SigningKey owner = agent.key, thief = platform::make_signing_key();
        const std::string text = to_base64(thief.public_key), said = protocol::key_change(agent.id, text);
        agent.token = first.json["access_token"].as_string();
        REQUIRE(agent.say("key", fmt::format(R"({{"publicKey":"{}","signature":"{}","signatureBefore":"{}"}})", text, to_base64(*platform::sign(thief.private_key, said)),
                                             to_base64(*platform::sign(owner.private_key, said)))).status == 200);
        CHECK_THAT(agent.ask_token(3, "j-3", 64).json["type"].as_string(), Contains("other_key"));   // the new one was never used: it may be the agent itself
        agent.key = thief;
        REQUIRE(agent.ask_token(4, "j-4").status == 200);
        agent.key = owner;
        CHECK_THAT(agent.ask_token(5, "j-5", 50).json["type"].as_string(), Contains("other_key"));   // may have been on its way
        const Answer robbed = agent.ask_token(6, "j-6", 64);
        CHECK(robbed.status == 403);
        CHECK_THAT(robbed.json["type"].as_string(), Contains("copied_key"));
        CHECK_THAT(robbed.detail(), Contains(platform::fingerprint(owner.public_key)) && Contains(platform::fingerprint(thief.public_key)) && Contains("--take-over"));
        agent.key = thief;
        CHECK(agent.ask_token(7, "j-7").status == 403);
        CHECK(factory.as_admin("GET", "/v1/agents/srv-1").json["state"] == Json("frozen"));
        HandAgent stranger(factory, "srv-1");
        stranger.id = agent.id;
        stranger.token_url = agent.token_url;
        CHECK(stranger.ask_token(8, "j-8", 64).status == 401);
    }
    SECTION("after a restart the old token is unknown, a new one is had, the factory's key is the same")
    {
        factory.restart();
        CHECK(agent.say("leases", R"({"attempts":[]})").status == 401);
        const Answer again = agent.ask_token(7, "j-7");
        REQUIRE(again.status == 200);
        agent.token = again.json["access_token"].as_string();
        const Answer session = agent.say("session", R"({"version":1,"must":[],"challenge":"abc","slots":1,"facts":{},"held":[]})");
        REQUIRE(session.status == 200);
        CHECK(platform::verify(*from_base64(agent.enrolled["factoryKey"].as_string()), "millwright-session:abc", *from_base64(session.json["factoryProof"].as_string())));
    }
    SECTION("the factory shows its key to whoever asks, before any token")
    {
        const Answer shown = agent.say("proof", R"({"challenge":"abc"})");
        REQUIRE(shown.status == 200);
        CHECK(platform::verify(*from_base64(agent.enrolled["factoryKey"].as_string()), "millwright-session:abc", *from_base64(shown.json["factoryProof"].as_string())));
        CHECK(agent.say("proof", R"({"challenge":")" + std::string(201, 'x') + R"("})").status == 400);
        CHECK(agent.say("proof", "{}").status == 400);
    }
    SECTION("a feature that must be understood and is not")
    {
        CHECK(agent.say("session", R"({"version":1,"must":["telepathy"],"challenge":"abc","slots":1,"facts":{}})").status == 426);
        CHECK(agent.say("session", R"({"version":7,"must":[],"news":1,"challenge":"abc","slots":1,"facts":{}})").json["version"] == Json(1));
    }
}

TEST_CASE("a job goes to the parked agent and comes back with its output, its steps and its log", "[factory][api][agents]")
{
    Factory factory;
    factory.deploy();
    const std::string token = factory.trigger_token();
    HandAgent agent(factory, "srv-1");
    agent.join();
    const auto poll = agent.poll(1);
    CHECK_FALSE(poll.done(50ms));
    const auto run = factory.start("POST", kRuns, kBody, {{"authorization", "Bearer " + token}, {"prefer", "wait=10"}});
    const Answer offered = poll.answer();
    REQUIRE(offered.json["offers"].size() == 1);
    const Json offer = offered.json["offers"][test::kFirst];
    const std::string job = offer["job"].as_string();
    CHECK(offer["input"] == *parse_json(R"({"region":"eu","order":"4711"})"));
    CHECK_FALSE(run.done());

    // The attempt's token opens this package and nothing else.
    const std::string attempt_token = offer["attemptToken"].as_string(), digest = offer["package"]["digest"].as_string();
    CHECK(factory.with_token(attempt_token, "GET", "/agent/v1/packages/" + digest).text == test::order_status());
    CHECK(factory.with_token(attempt_token, "GET", "/agent/v1/packages/sha256:" + std::string(64, '0')).status == 403);
    CHECK(factory.with_token(agent.token, "GET", "/agent/v1/packages/" + digest).status == 401);
    CHECK(factory.with_token(attempt_token, "GET", "/v1/jobs").status == 401);
    CHECK(factory.with_token(attempt_token, "POST", "/agent/v1/credentials", R"({"names":["erp-login"]})").status == 426);

    // Somebody follows the log while it runs.
    const auto follow = factory.start("GET", "/v1/jobs/" + job + "/log?wait=10", "", {{"authorization", "Bearer " + factory.admin}});
    CHECK_FALSE(follow.done(50ms));
    const Answer reported = agent.finish(offer, "successful", R"({"reply":"Order 4711 is shipped"})");
    INFO(reported.text);
    REQUIRE(reported.status == 200);
    CHECK(reported.json["attempts"][test::kFirst]["acknowledged"] == Json(4));
    const Answer log = follow.answer();
    CHECK(log.json["items"][test::kFirst]["text"] == Json("hello from the job"));

    const Answer held = run.answer();
    CHECK(held.status == 200);
    CHECK(held.json["state"] == Json("successful"));
    CHECK(held.json["output"]["reply"] == Json("Order 4711 is shipped"));
    CHECK(factory.with_token(token, "GET", "/v1/jobs/" + job).json["output"]["reply"] == Json("Order 4711 is shipped"));
    const Answer steps = factory.as_admin("GET", "/v1/jobs/" + job + "/steps");
    REQUIRE(steps.json["items"].size() == 1);
    CHECK(steps.json["items"][test::kFirst]["task"] == Json("/do/0/answer"));
    const Answer timeline = factory.as_admin("GET", "/v1/jobs/" + job + "/timeline");
    std::string states;
    for (const Json& row : timeline.json["items"].as_array()) states += row["state"].as_string() + " ";
    CHECK_THAT(states, Contains("ready") && Contains("assigned") && Contains("running") && Contains("successful"));
    const Answer rest = factory.as_admin("GET", fmt::format("/v1/jobs/{}/log?wait=10&after={}", job, log.json["next"].as_string()));
    CHECK(rest.json["ended"] == Json(true));
    CHECK(rest.json["items"].empty());

    // Saying it again changes nothing.
    CHECK(agent.finish(offer, "failed", "null").json["attempts"][test::kFirst]["acknowledged"] == Json(4));
    CHECK(factory.as_admin("GET", "/v1/jobs/" + job).json["state"] == Json("successful"));
}

TEST_CASE("an agent whose poll breaks off is shown offline and gets nothing until it is back", "[factory][api][agents]")
{
    Factory factory;
    factory.deploy();
    HandAgent agent(factory, "srv-1");
    agent.join();
    auto poll = agent.poll(1);
    CHECK_FALSE(poll.done(20ms));
    CHECK(factory.as_admin("GET", "/v1/agents/srv-1").json["online"] == Json(true));
    poll.hang_up();
    bool online = true;   // a closed connection is noticed within a second
    for (int tries = 0; online && tries < 100; ++tries) {
        online = factory.as_admin("GET", "/v1/agents/srv-1").json["online"].as_bool();
        system_clock().sleep(50ms, {});
    }
    CHECK_FALSE(online);
    const Answer run = factory.as_admin("POST", kRuns, kBody);
    CHECK_THAT(run.json["waitingFor"].as_string(), Contains("srv-1") && Contains("offline"));

    SECTION("a newer poll ends the older")
    {
        const auto third = agent.poll(0);
        CHECK_FALSE(third.done(20ms));
        const auto fourth = agent.poll(1);
        CHECK(third.answer().status == 409);
        CHECK(fourth.answer().json["offers"].size() == 1);
    }
}

TEST_CASE("broken reports are refused whole or become tombstones, and never block the stream", "[factory][api][agents]")
{
    Factory factory;
    factory.deploy();
    HandAgent agent(factory, "srv-1");
    agent.join();
    const auto poll = agent.poll(1);
    REQUIRE(factory.as_admin("POST", kRuns, kBody).status == 202);
    const Json offer = poll.answer().json["offers"][test::kFirst];
    CHECK(agent.say("events", R"({"attempts":[{"job":"x"}]})").status == 400);
    CHECK(agent.say("events", R"({"attempts":3})").status == 400);
    const std::string now = format_time(system_clock().now());
    const Answer answer = agent.say("events", fmt::format(R"({{"attempts":[{{"job":"{}","epoch":{},"attempt":{},"events":[
        {{"sequence":1,"time":"{}","kind":"state","body":{{"state":"running"}}}},{{"sequence":2,"time":"yesterday","kind":"dance","body":{{}}}}]}}]}})",
                                                          offer["job"].as_string(), offer["epoch"].as_integer(), offer["attempt"].as_integer(), now));
    INFO(answer.text);
    CHECK(answer.json["attempts"][test::kFirst]["acknowledged"] == Json(2));
    CHECK(answer.json["attempts"][test::kFirst]["refused"][test::kFirst]["sequence"] == Json(2));
    CHECK(factory.as_admin("GET", "/v1/jobs/" + offer["job"].as_string()).json["state"] == Json("running"));
}
