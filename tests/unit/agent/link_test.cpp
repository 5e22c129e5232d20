// Session and parked poll: offers, answers, refusals.
#include "tests/unit/agent/agent_world.h"

using namespace mill;
using namespace mill::test;
using World = AgentWorld;

TEST_CASE("the link subscribes, takes an offer and asks for as many as it has slots", "[link]")
{
    World world;
    world.start_link();
    CHECK(world.factory.request("/agent/v1/offers")["want"] == Json(2));
    CHECK(world.subscribed == 1);
    CHECK(world.factory.request("/agent/v1/session")["facts"]["cpus"] == Json(2));
    world.factory.offer(offers({offer_json()}));
    const auto taken = world.command<agent::command::Take>();
    CHECK(taken.id == kJob);
    CHECK(taken.offer.find("order-status") != std::string::npos);
    auto fetch = world.fetches.receive_for(10s);
    REQUIRE(fetch);
    CHECK(fetch->offer.attempt_token == "mw_attempt_1");
    CHECK(world.factory.request("/agent/v1/offers", 2)["want"] == Json(1));
    SECTION("the same offer again is not taken twice")
    {
        world.factory.offer(offers({offer_json()}));
        world.factory.request("/agent/v1/offers", 3);
        CHECK_FALSE(world.commands.receive_for(50ms));
    }
    SECTION("an offer above the slots is answered busy, and a slot that gets free ends the poll that wants none")
    {
        world.factory.offer(offers({offer_json({"second", 1, 1}), offer_json({"third", 1, 1})}));
        const Json third = world.factory.request("/agent/v1/offers", 3);
        CHECK(third["want"] == Json(0));
        CHECK(third["answers"][std::size_t{0}]["job"] == Json("third"));
        CHECK(third["answers"][std::size_t{0}]["answer"] == Json("busy"));
        world.desk.release(kJob);
        CHECK(world.factory.request("/agent/v1/offers", 4)["want"] == Json(1));
    }
    SECTION("a cancel is passed on")
    {
        world.factory.offer(Json::object({{"cancels", Json::array({Json::object({{"job", kJob.job}, {"epoch", 1}, {"attempt", 1}, {"by", "anna"}, {"why", "no"}})})}}));
        CHECK(world.command<agent::command::Cancel>().by == "anna");
    }
}

TEST_CASE("an agent that can run nothing says why, and asks again when that is over", "[link]")
{
    World world;
    world.desk.rest(300ms, "the disk is full");
    world.start_link();
    const Json first = world.factory.request("/agent/v1/offers");
    CHECK(first["want"] == Json(0));
    CHECK(first["unable"] == Json("the disk is full"));
    const Json second = world.factory.request("/agent/v1/offers", 2);
    CHECK(second["want"] == Json(2));
    CHECK_FALSE(second.contains("unable"));
    SECTION("also for good")
    {
        world.slots.disable("no sandbox: no user namespaces");
        world.factory.offer(Json::object());
        CHECK(world.factory.request("/agent/v1/offers", 3)["unable"] == Json("no sandbox: no user namespaces"));
    }
    SECTION("and when it stops")
    {
        world.slots.close();
        CHECK(world.factory.request("/agent/v1/offers", 3)["unable"] == Json("the agent is stopping"));
    }
}

TEST_CASE("an agent that can examine itself says so, and begins when it is asked; one that cannot leaves it", "[link]")
{
    World world;
    Mailbox<std::string> asked(4);
    SECTION("it can")
    {
        world.examine = [&](const std::string& id) { asked.send(id); };
        world.start_link();
        CHECK(world.factory.request("/agent/v1/offers")["knows"] == Json::array({"doctor"}));
        world.factory.offer(Json::object({{"doctor", Json::object({{"id", "ask-1"}})}}));
        CHECK(asked.receive_for(10s) == "ask-1");
        world.factory.request("/agent/v1/offers", 2);   // its poll is parked again meanwhile
        world.factory.offer(Json::object({{"doctor", Json::object({{"id", std::string(101, 'x')}})}}));
        world.factory.request("/agent/v1/offers", 3);
        CHECK_FALSE(asked.receive_for(50ms));
    }
    SECTION("it cannot")
    {
        world.start_link();
        CHECK_FALSE(world.factory.request("/agent/v1/offers").contains("knows"));
        world.factory.offer(Json::object({{"doctor", Json::object({{"id", "ask-1"}})}}));
        CHECK(world.factory.request("/agent/v1/offers", 2)["want"] == Json(2));
    }
}

TEST_CASE("what the policy does not admit ends as refused, with the reason", "[link]")
{
    World world;
    world.policy.signing.unsigned_packages = false;
    world.start_link();
    world.factory.offer(offers({offer_json()}));
    world.command<agent::command::Take>();
    const auto end = world.command<agent::command::End>();
    CHECK(end.cause.reason == Reason::refused);
    CHECK_THAT(end.cause.why, Catch::Contains("unsigned"));
}

TEST_CASE("an attempt that the journal knows is never started again", "[link]")
{
    World world;
    SECTION("reported to the end: answered not held")
    {
        REQUIRE(world.journal->take(kJob, "{}"));
        REQUIRE(world.journal->finish(kJob));
        world.start_link();
        world.factory.offer(offers({offer_json()}));
        CHECK(world.factory.request("/agent/v1/offers", 2)["answers"][std::size_t{0}]["answer"] == Json("not_held"));
    }
    SECTION("its report on the way: left to the report")
    {
        REQUIRE(world.journal->take(kJob, "{}"));
        REQUIRE(world.journal->start(kJob, protocol::state_event(1, {}, JobState::running), SteadyTime{1}));
        world.start_link();
        world.factory.offer(offers({offer_json()}));
        CHECK(world.factory.request("/agent/v1/offers", 2)["answers"].empty());
    }
    CHECK_FALSE(world.commands.receive_for(50ms));
}

TEST_CASE("a factory that cannot prove the pinned key gets no token and no poll", "[link]")
{
    World world;
    world.factory.until([](auto& f) { return !(f.wrong_key = platform::make_signing_key().private_key).empty(); });
    world.start_link();
    world.factory.request("/agent/v1/proof", 2);  // tried again after a while
    CHECK(world.subscribed == 0);
    CHECK(world.factory.count("/agent/v1/token") == 0);
    CHECK(world.factory.count("/agent/v1/session") == 0);
    CHECK(world.factory.count("/agent/v1/offers") == 0);
}

TEST_CASE("after a 401 the link makes a new token and a new session", "[link]")
{
    std::atomic<int> refusals = 1;   // before the world, which asks until its end
    World world;
    world.start_link();
    world.factory.request("/agent/v1/offers");
    world.factory.on("/agent/v1/offers", [&](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
        if (refusals-- <= 0) return false;
        reply.status = 401;
        reply.body = "{}";
        return true;
    });
    world.factory.offer(Json::object());
    world.factory.request("/agent/v1/session", 2);
    CHECK(world.factory.until([](auto& f) { return f.counters.size() == 2; }));
}
