#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

using Words = std::vector<std::string>;

TEST_CASE("an offer is repeated with the same number until the agent names the attempt", "[core][lease]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto first = world.park(srv);
    const auto job = world.run();
    const auto id = first.value().offers.at(0).id;
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

TEST_CASE("the attempt token opens its attempt until the attempt ends", "[core]")
{
    World world;
    world.orders({}, Json::object({{"credentials", Json::object({{"erp-login", "erp-login-prod"}})}}));
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    const auto job = world.run();
    const auto& offer = parking.value().offers.at(0);
    const auto access = world.core().attempt_access(offer.attempt_token);
    REQUIRE(access);
    CHECK(access->id.job == job.uid);
    CHECK(access->agent == srv.id);
    CHECK(access->package_digest == offer.package_digest);
    CHECK(access->credentials["erp-login"].as_string() == "erp-login-prod");
    std::string forged = offer.attempt_token;
    forged.back() = forged.back() == 'a' ? 'b' : 'a';
    CHECK_FALSE(world.core().attempt_access(forged));
    world.report(srv, offer.id, {world.state(1, JobState::failed, Reason::refused)});
    CHECK_FALSE(world.core().attempt_access(offer.attempt_token));
}

TEST_CASE("a silent agent's job goes on until the offline limit, then it is lost; late reports are evidence", "[core][lease]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    const auto job = world.run();
    const auto id = parking.value().offers.at(0).id;
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

TEST_CASE("why names each agent, what it lacks and the command that mends it, and changes with the agents", "[core][why]")
{
    World world;
    world.orders({}, {}, Json::object({{"requires", Json::object({{"programs", Json::array({"python3"})}})}}));
    const auto job = world.run();
    CHECK(world.codes(job.uid) == Words{"no_agents"});
    CHECK(world.why(job.uid).reasons[0].command == "millwright agents invite --environment prod");

    const auto one = world.agent("srv-1", "prod", protocol::AgentMode::attended, Json::object({{"programs", Json::array({"python3"})}}));
    const auto two = world.agent("srv-2", "prod", protocol::AgentMode::unattended, Json::object());
    const auto three = world.agent("srv-3", "prod", protocol::AgentMode::unattended, Json::object({{"programs", Json::array({"python3"})}}), false);
    (void)world.agent("far-1", "test");
    const auto park_one = world.park(one), park_three = world.park(three);
    const auto why = world.why(job.uid);
    std::string all;
    for (const WhyReason& reason : why.reasons) all += reason.text + "\n";
    CHECK_THAT(all, Catch::Contains("srv-1 is attended (`millwright agents set srv-1 --mode unattended`)\n"));
    CHECK_THAT(all, Catch::Contains("srv-2 has no program 'python3'\n"));
    CHECK_THAT(all, Catch::Contains("srv-2 has not been seen yet\n"));
    CHECK_THAT(all, Catch::Contains("srv-3 is not approved (`millwright agents set srv-3 --approve`)\n"));
    CHECK(all.find("far-1") == std::string::npos);

    AgentPatch patch;
    patch.mode = protocol::AgentMode::unattended;
    REQUIRE(await<AgentRecord>([&](auto done) { world.core().set_agent("srv-1", patch, world.who, done); }));
    world.core().flush();
    CHECK(world.job(job.uid).state == JobState::assigned);   // the change itself starts the job
    REQUIRE(park_one.value().offers.size() == 1);
    CHECK(world.codes(job.uid) == Words{"offered"});

    const auto second = world.run();
    world.core().unpark(three.id, park_three.ticket);
    world.pass(seconds(2));
    all.clear();
    for (const WhyReason& reason : world.why(second.uid).reasons) all += reason.text + "\n";
    CHECK_THAT(all, Catch::Contains("srv-1 has all 1 slots in use: " + job.uid + " (orders)"));
    CHECK_THAT(all, Catch::Contains("srv-3 is offline since "));
}

TEST_CASE("environments choose agents by pattern and label, in the order of their groups", "[core][dispatch]")
{
    World world;
    world.orders();
    world.put("Environment", "prod", Json::object({{"agents", Json::array({"srv-*"})},
                                                   {"groups", Json::array({Json::object({{"name", "night"}, {"agents", Json::array({"label:shift=night"})}})})}}));
    const auto day = world.agent("srv-1", "elsewhere");
    const auto night = world.agent("far-9", "elsewhere");
    const auto none = world.agent("lap-1", "elsewhere");
    AgentPatch patch;
    patch.labels = Json::object({{"shift", "night"}});
    REQUIRE(await<AgentRecord>([&](auto done) { world.core().set_agent("far-9", patch, world.who, done); }));
    const auto park_day = world.park(day), park_night = world.park(night), park_none = world.park(none);
    const auto first = world.run();
    CHECK(park_night.answered());
    CHECK_FALSE(park_day.answered());
    const auto second = world.run();
    CHECK(park_day.answered());
    const auto third = world.run();
    CHECK_FALSE(park_none.answered());
    CHECK(world.job(third.uid).state == JobState::ready);
}

TEST_CASE("enrolment: one code, one key, one name; the same call again gets the same agent", "[core][agents]")
{
    World world;
    const protocol::Token code = protocol::make_token("code");
    CodeRecord record;
    record.id = code.id;
    record.sha256 = platform::sha256(code.text);
    record.terms = Json::object({{"environment", "prod"}, {"name", "srv-*"}, {"approve", true}, {"labels", Json::object({{"site", "berlin"}})}});
    record.expires = world.clock().now() + minutes(10);
    REQUIRE(await<CodeRecord>([&](auto done) { world.core().put_code(record, world.who, done); }));
    const auto enrol = [&](const std::string& name, const std::string& key, std::string sha) {
        return await<AgentRecord>([&](auto done) { world.core().enrol({code.id, std::move(sha), name, key, protocol::AgentMode::unattended, {}}, done); });
    };
    CHECK(enrol("srv-1", "key", std::string(32, 'x')).error().code == Errc::denied);
    CHECK(enrol("lap-1", "key", record.sha256).error().code == Errc::invalid);
    const auto first = enrol("srv-1", "key", record.sha256);
    REQUIRE(first);
    CHECK(first->labels["site"].as_string() == "berlin");
    const auto again = enrol("srv-1", "key", record.sha256);
    REQUIRE(again);
    CHECK(again->id == first->id);
    CHECK(enrol("srv-2", "other key", record.sha256).error().code == Errc::denied);
    world.clock().advance(minutes(11));
    CHECK(enrol("srv-1", "key", record.sha256).error().code == Errc::denied);
}

TEST_CASE("a session counter that does not rise freezes the agent, for good", "[core][agents]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto step = [&](std::uint64_t counter, const std::string& jti) {
        return await<std::string>([&](auto done) { world.core().step_counter({srv.id, counter, jti, "answer of " + jti}, done); });
    };
    CHECK(step(1, "a").value() == "answer of a");
    CHECK(step(1, "a").value() == "answer of a");
    CHECK(step(2, "b").value() == "answer of b");
    const auto copied = step(2, "c");
    REQUIRE_FALSE(copied);
    CHECK(copied.error().code == Errc::denied);
    world.restart();
    CHECK_FALSE(step(3, "d"));
    CHECK(world.core().agents()->at(0).frozen);
    const auto parking = world.park(srv);
    REQUIRE(parking.answered());
    CHECK_FALSE(parking.answer->value());
    const auto audit = world.core().reader()->audit("", 1);
    REQUIRE(audit);
    CHECK(audit->items.at(0).action == "freeze");
}

TEST_CASE("a session tells which held attempts are current, stale or final", "[core][agents]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto first = world.park(srv, 2);
    world.run();
    const auto id = first.value().offers.at(0).id;
    world.report(srv, id, {world.state(1, JobState::running)});
    auto stranger = id;
    stranger.attempt = 7;
    const auto session = await<SessionAnswer>([&](auto done) {
        world.core().open_session({.agent = srv.id, .mode = protocol::AgentMode::unattended, .slots = 4, .facts = Json::object({{"os", "linux"}}), .held = {id, stranger}}, done);
    });
    REQUIRE(session);
    CHECK(session->agent.slots == 4);
    CHECK(session->agent.holds.size() == 1);
    CHECK(session->held.at(0).standing == Standing::current);
    CHECK(session->held.at(0).acknowledged == 1);
    CHECK(session->held.at(1).standing == Standing::stale);
    world.report(srv, id, {world.state(2, JobState::successful)});
    const auto renewed = await<std::vector<HeldAnswer>>([&](auto done) { world.core().renew(srv.id, {id}, done); });
    REQUIRE(renewed);
    CHECK(renewed->at(0).standing == Standing::final);
    CHECK(renewed->at(0).acknowledged == 2);
}

TEST_CASE("an agent that can run nothing says why, and why repeats it", "[core][why]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv, 0, {}, "bubblewrap is not installed (`apt install bubblewrap`)");
    const auto job = world.run();
    const auto why = world.why(job.uid);
    REQUIRE(why.reasons.size() == 1);
    CHECK(why.reasons[0].code == "agent_unable");
    CHECK(why.reasons[0].text == "srv-1 cannot run jobs: bubblewrap is not installed (`apt install bubblewrap`)");
    const auto again = world.park(srv, 1);
    CHECK(again.answered());
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
