#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

using Words = std::vector<std::string>;

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

    REQUIRE(await<Nothing>([&](auto done) { world.core().goodbye(two.id, "stopped", done); }));  // before it ever polled
    std::string after;
    for (const WhyReason& reason : world.why(job.uid).reasons) after += reason.text + "\n";
    CHECK_THAT(after, Catch::Contains("srv-2 is offline since ") && Catch::Contains(", it said: stopped\n"));

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
        return await<std::string>([&](auto done) { world.core().step_counter({srv.id, counter, jti, "answer of " + jti, {}}, done); });
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
