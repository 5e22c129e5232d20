#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

using Words = std::vector<std::string>;

TEST_CASE("an offer is repeated with the same number until the agent names the attempt", "[core][lease]")
{
    World world;
    world.orders();
    const auto [srv, first, job, id] = world.offered();
    const auto second = world.park(srv);
    CHECK_FALSE(second.answered());   // not at once again: the agent may be about to name it
    world.pass(seconds(2));
    REQUIRE(second.value().offers.size() == 1);
    CHECK(second.value().offers[0].id == id);
    CHECK(second.value().offers[0].attempt_token == first.value().offers[0].attempt_token);
    const auto third = world.park(srv);
    world.report(srv, id, {world.state(1, JobState::running)});
    world.pass(seconds(3));
    CHECK_FALSE(third.answered());
    CHECK(world.job(job.uid).attempt == 1);
}

TEST_CASE("busy and not held return the job, and the next attempt has the next number", "[core][lease]")
{
    World world;
    world.orders();
    const auto one = world.agent("srv-1"), two = world.agent("srv-2");
    const auto first = world.park(one);
    const auto job = world.run();
    const auto id = first.value().offers.at(0).id;
    const auto other = world.park(two);
    const auto again = world.park(one, 1, {{id, true, "slots taken by another factory"}});
    CHECK_FALSE(again.answered());   // it rests for a second
    REQUIRE(other.value().offers.size() == 1);
    CHECK(other.value().offers[0].id.attempt == 2);
    CHECK(world.line_of(job.uid) == Words{"ready", "assigned", "busy", "ready", "assigned"});

    const auto back = world.park(two, 1, {{other.value().offers[0].id, false, "never started"}});
    REQUIRE(back.value().offers.size() == 1);
    CHECK(back.value().offers[0].id.attempt == 3);
}

TEST_CASE("an agent that alone says busy is asked again after a rest", "[core][lease]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto first = world.park(srv);
    const auto job = world.run();
    const auto again = world.park(srv, 1, {{first.value().offers.at(0).id, true, ""}});
    CHECK_FALSE(again.answered());
    world.pass(seconds(1));
    world.core().flush();
    REQUIRE(again.value().offers.size() == 1);
    CHECK(again.value().offers[0].id.attempt == 2);
}

TEST_CASE("a silent agent's job goes on until the offline limit, then it is lost; late reports are evidence", "[core][lease]")
{
    World world;
    world.orders();
    const auto [srv, parking, job, id] = world.offered();
    world.report(srv, id, {world.state(1, JobState::running)});
    world.pass(minutes(14));
    CHECK(world.job(job.uid).state == JobState::running);
    CHECK(world.codes(job.uid) == Words{"running", "agent_offline"});
    world.pass(minutes(1));
    const auto lost = world.job(job.uid);
    CHECK(lost.state == JobState::failed);
    CHECK(lost.reason == Reason::agent_lost);
    CHECK(lost.evidence["agent"].as_string() == "srv-1");

    const auto late = world.report(srv, id, {World::line(2, "still here"), world.state(3, JobState::successful)});
    CHECK(late.acknowledged == 3);
    CHECK(late.standing == Standing::final);
    CHECK(world.job(job.uid).state == JobState::failed);
    const auto stale = world.core().reader()->stale_events(job.uid);
    REQUIRE(stale);
    CHECK(stale->size() == 2);
    CHECK(world.line_of(job.uid).back() == "reported_late");
}

TEST_CASE("renewals keep a lease, and a deployment may set its own offline limit", "[core][lease]")
{
    World world;
    world.orders({}, Json::object({{"offlineLimit", "2m"}}));
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    const auto job = world.run();
    const auto id = parking.value().offers.at(0).id;
    world.report(srv, id, {world.state(1, JobState::running)});
    for (int i = 0; i < 10; ++i) {
        world.pass(seconds(90));
        const auto held = await<std::vector<HeldAnswer>>([&](auto done) { world.core().renew(srv.id, {id}, done); });
        REQUIRE(held);
        CHECK(held->at(0).standing == Standing::current);
    }
    CHECK(world.job(job.uid).state == JobState::running);
    world.pass(minutes(2));
    CHECK(world.job(job.uid).reason == Reason::agent_lost);
}

TEST_CASE("a repeatable job of a silent agent starts anew after its lease, and the old attempt is fenced", "[core][lease]")
{
    World world;
    world.orders({}, {}, Json::object({{"repeatable", true}}));
    const auto one = world.agent("srv-1"), two = world.agent("srv-2");
    const auto first = world.park(one);
    const auto job = world.run();
    const auto id = first.value().offers.at(0).id;
    world.report(one, id, {world.state(1, JobState::running)});
    world.pass(seconds(59));
    const auto second = world.park(two);
    CHECK_FALSE(second.answered());
    world.pass(seconds(1));
    world.core().flush();
    REQUIRE(second.value().offers.size() == 1);
    CHECK(second.value().offers[0].id.attempt == 2);
    CHECK(second.value().offers[0].id.job == job.uid);

    const auto late = world.report(one, id, {World::line(2, "old"), world.state(3, JobState::failed, Reason::error)});
    CHECK(late.acknowledged == 3);
    CHECK(late.standing == Standing::stale);
    CHECK(world.job(job.uid).state == JobState::assigned);
    // What another agent holds is neither taken nor acknowledged.
    const auto forged = world.report(one, second.value().offers[0].id, {world.state(1, JobState::failed, Reason::error)});
    CHECK(forged.acknowledged == 0);
    CHECK(world.job(job.uid).state == JobState::assigned);
    world.report(two, second.value().offers[0].id, {world.state(1, JobState::running), world.state(2, JobState::successful)});
    CHECK(world.job(job.uid).state == JobState::successful);
}

TEST_CASE("a restart gives every running attempt a full lease and repeats offers that nobody named", "[core][lease]")
{
    World world;
    world.orders({}, {}, Json::object({{"repeatable", true}}));
    const auto srv = world.agent("srv-1");
    const auto first = world.park(srv, 2);
    const auto running = world.run();
    const auto id = first.value().offers.at(0).id;
    world.report(srv, id, {world.state(1, JobState::running)});
    const auto next = world.park(srv, 1);
    const auto unnamed = world.run(Json::object({{"order", "2"}}));
    const auto token = next.value().offers.at(0).attempt_token;

    world.clock().advance(std::chrono::hours(3));
    world.restart();
    world.core().run_timers();
    CHECK(world.job(running.uid).state == JobState::running);
    CHECK(world.core().attempt_access(token));
    const auto after = world.park(srv, 1);
    REQUIRE(after.value().offers.size() == 1);
    CHECK(after.value().offers[0].id == next.value().offers[0].id);
    CHECK(after.value().offers[0].input["order"].as_string() == "2");
    CHECK(after.value().offers[0].attempt_token != token);
    CHECK(world.core().attempt_access(token));                                    // the agent may hold the first one
    CHECK(world.core().attempt_access(after.value().offers[0].attempt_token));
    CHECK(world.report(srv, id, {world.state(1, JobState::running), world.state(2, JobState::successful)}).acknowledged == 2);
    CHECK(world.job(running.uid).state == JobState::successful);
    CHECK(world.job(unnamed.uid).attempt == 1);
}

TEST_CASE("a newer poll ends the older one, a gone connection shows as offline within two seconds", "[core][presence]")
{
    World world;
    const auto srv = world.agent("srv-1");
    const auto first = world.park(srv);
    const auto second = world.park(srv);
    REQUIRE(first.answered());
    REQUIRE_FALSE(first.answer->value());
    CHECK(first.answer->value().error().code == Errc::conflict);
    CHECK(world.core().agents()->at(0).online);
    world.core().unpark(srv.id, first.ticket);   // of the older one: says nothing
    world.pass(seconds(2));
    CHECK(world.core().agents()->at(0).online);
    world.core().unpark(srv.id, second.ticket);
    world.pass(seconds(2));
    CHECK_FALSE(world.core().agents()->at(0).online);
    CHECK(world.core().agents()->at(0).offline_since);
    const auto feed = world.core().reader()->feed(0, 100);
    REQUIRE(feed);
    CHECK(feed->back().what == "offline");
}

TEST_CASE("a poll with nothing to say is answered after its time, and the agent may be away between two polls", "[core][presence]")
{
    World world;
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    world.pass(seconds(29));
    CHECK_FALSE(parking.answered());
    world.pass(seconds(1));
    world.core().flush();
    CHECK(parking.value().offers.empty());
    world.pass(seconds(9));
    CHECK(world.core().agents()->at(0).online);
    world.pass(seconds(2));
    CHECK_FALSE(world.core().agents()->at(0).online);
}

TEST_CASE("an agent that took an offer and forgot it in a crash is offered it again, with the same number", "[core][lease]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto first = world.park(srv);
    const auto job = world.run();
    const auto id = first.value().offers.at(0).id;
    REQUIRE(await<std::vector<HeldAnswer>>([&](auto done) { world.core().renew(srv.id, {id}, done); }));   // named, not started
    const auto quiet = world.park(srv);
    world.pass(seconds(3));
    CHECK_FALSE(quiet.answered());
    REQUIRE(await<SessionAnswer>([&](auto done) { world.core().open_session({.agent = srv.id, .mode = {}, .slots = 1, .facts = {}, .held = {}}, done); }));
    world.core().flush();
    REQUIRE(quiet.value().offers.size() == 1);
    CHECK(quiet.value().offers[0].id == id);
    CHECK(world.job(job.uid).attempt == 1);
}
