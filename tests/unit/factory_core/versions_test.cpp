// What a published version is for, and a deployment's way between versions.
#include "tests/unit/factory_core/older_store.h"
#include "tests/unit/factory_core/versions.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

Result<PackageRecord> become(World& world, PackageState state, const std::string& why = "", const std::string& version = "1.2.0")
{
    return await<PackageRecord>([&](auto done) { world.core().set_package_state("order-status", version, state, why, world.who, done); });
}

}  // namespace

TEST_CASE("a version's state goes forward, and back only from deprecated", "[core][versions]")
{
    World world;
    world.orders();
    CHECK(world.core().reader()->package("order-status", "1.2.0")->state == PackageState::released);
    CHECK_FALSE(become(world, PackageState::draft));
    REQUIRE(become(world, PackageState::deprecated, "use 1.3"));
    CHECK(state_words(*world.core().reader()->package("order-status", "1.2.0")).find("was deprecated by admin at ") == 0);
    REQUIRE(become(world, PackageState::released));
    REQUIRE(become(world, PackageState::decommissioned, "orders twice"));
    REQUIRE(become(world, PackageState::decommissioned, "again"));   // it is so already: nothing changes
    world.restart();
    const auto kept = world.core().reader()->package("order-status", "1.2.0");
    CHECK(kept->state == PackageState::decommissioned);
    CHECK(kept->state_why == "orders twice");
    for (const PackageState state : {PackageState::draft, PackageState::released, PackageState::deprecated}) {
        const auto back = become(world, state);
        REQUIRE_FALSE(back);
        CHECK(back.error().code == Errc::conflict);
        CHECK_THAT(back.error().what, Catch::Contains("was decommissioned by admin at") && Catch::Contains("orders twice"));
    }
    CHECK(become(world, PackageState::released, "", "9.9.9").error().code == Errc::not_found);
    const auto draft = await<PackageRecord>([&](auto done) { world.core().put_package("order-status", "2.0.0", "new", Json::object(), Json::object(), PackageState::draft, world.who, done); });
    REQUIRE(draft);
    CHECK(draft->state == PackageState::draft);
    CHECK_FALSE(become(world, PackageState::deprecated, "", "2.0.0"));
    CHECK(become(world, PackageState::released, "", "2.0.0")->state == PackageState::released);
}

TEST_CASE("a decommissioned version makes no jobs, and those that wait do not start, also after a restart", "[core][versions]")
{
    World world;
    world.orders();
    const auto waiting = world.run();
    REQUIRE(become(world, PackageState::decommissioned, "orders twice"));
    const auto refused = world.try_run();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::conflict);
    CHECK_THAT(refused.error().what, Catch::Contains("'order-status@1.2.0'") && Catch::Contains("was decommissioned by admin at") && Catch::Contains(": orders twice"));
    const auto srv = world.agent("srv-1");
    SECTION("at once") {}
    SECTION("after a restart") { world.restart(); }
    const auto parking = world.park(srv);
    CHECK_FALSE(parking.answered());
    CHECK(world.job(waiting.uid).state == JobState::ready);
    const auto why = world.why(waiting.uid);
    CHECK(why.reasons.at(0).code == "package_decommissioned");
    CHECK_THAT(why.summary, Catch::Contains("orders twice") && Catch::Contains("deployments rollback order-status --rebind-waiting"));
    const auto again = await<Accepted>([&](auto done) { world.core().cancel(waiting.uid, "", world.who, [](auto) {}); world.core().retry(waiting.uid, true, world.who, done); });
    REQUIRE_FALSE(again);   // the same version cannot be had again
    CHECK_THAT(again.error().what, Catch::Contains("orders twice"));
    CHECK(preflight(world).blocked);
    CHECK(preflight(world).problems.at(0).code == "package_decommissioned");
}

TEST_CASE("waiting jobs keep their version after a rollback, unless they are rebound", "[core][versions]")
{
    World world;
    world.orders();
    world.package("order-status", Json::object(), "1.1.0");
    world.put("Deployment", "order-status", at_version("1.1.0"));
    world.put("Deployment", "order-status", at_version("1.2.0"));
    const auto one = world.run(Json::object({{"n", 1}})), two = world.run(Json::object({{"n", 2}}));
    CHECK(move(world, "1.1.0", false, 1).error().code == Errc::conflict);   // somebody changed it meanwhile
    const auto moved = move(world, "1.1.0", false);
    REQUIRE(moved);
    CHECK(moved->rebound == 0);
    CHECK(world.job(one.uid).package_version == "1.2.0");
    const auto later = world.run();
    CHECK(later.package_version == "1.1.0");

    const auto rebound = move(world, "1.1.0", true);   // where it is already: only what waits goes over
    REQUIRE(rebound);
    CHECK(rebound->rebound == 2);
    for (const auto& uid : {one.uid, two.uid}) {
        CHECK(world.job(uid).package_version == "1.1.0");
        CHECK(world.line_of(uid) == std::vector<std::string>{"ready", "rebound"});
    }
    CHECK(world.line_of(later.uid) == std::vector<std::string>{"ready"});
    SECTION("at once") {}
    SECTION("after a restart") { world.restart(); }
    const auto parking = world.park(world.agent("srv-1"), 3);
    std::vector<std::string> order;
    for (const auto& offer : parking.value().offers) {
        CHECK(offer.package_version == "1.1.0");
        order.push_back(offer.id.job);
    }
    CHECK(order.size() == 3);
    CHECK(parking.value().offers.at(0).input["n"].as_integer() == 1);   // the oldest is still the first
}

TEST_CASE("what a decommissioned version left waiting runs once it is rebound, also of a trigger that is paused", "[core][versions]")
{
    World world;
    world.orders();
    world.package("order-status", Json::object(), "1.1.0");
    const auto job = world.run();
    REQUIRE(become(world, PackageState::decommissioned));
    world.put("Trigger", "orders", Json::object({{"deployment", "order-status"}, {"type", "api"}, {"paused", true}}));
    REQUIRE(move(world, "1.1.0", true)->rebound == 1);
    CHECK_FALSE(world.try_run());   // it is paused as before
    const auto parking = world.park(world.agent("srv-1"));
    REQUIRE(parking.answered());
    CHECK(parking.value().offers.at(0).package_version == "1.1.0");
    CHECK(parking.value().offers.at(0).id.job == job.uid);
}

TEST_CASE("jobs of a trigger that starts another deployment now stay what they are", "[core][versions]")
{
    World world;
    world.orders();
    world.package("order-status", Json::object(), "1.1.0");
    const auto job = world.run();
    world.put("Deployment", "other", at_version("1.2.0"));
    world.put("Trigger", "orders", Json::object({{"deployment", "other"}, {"type", "api"}}));
    const auto moved = move(world, "1.1.0", true);
    REQUIRE(moved);
    CHECK(moved->rebound == 0);
    CHECK(moved->left == 1);
    CHECK(world.job(job.uid).deployment == "order-status");
    CHECK(world.job(job.uid).package_version == "1.2.0");
}

TEST_CASE("a deployment's history says who went where and why, and ends with the deployment", "[core][versions]")
{
    World world;
    world.orders();
    world.package("order-status", Json::object(), "1.1.0");
    world.put("Deployment", "order-status", at_version("1.1.0"));
    world.put("Deployment", "order-status", at_version("1.1.0", "us"));
    REQUIRE(move(world, "1.2.0", false));
    const auto document = world.core().reader()->document("Deployment", "order-status");
    auto moves = world.core().reader()->version_moves(document->uid, 100);
    REQUIRE(moves);
    REQUIRE(moves->size() == 4);
    CHECK(moves->at(0).what == "rolled_back");
    CHECK(moves->at(0).from == "order-status@1.1.0");
    CHECK(moves->at(0).to == "order-status@1.2.0");
    CHECK(moves->at(0).why == "slow");
    CHECK(moves->at(0).generation == document->generation);
    CHECK(moves->at(1).from == moves->at(1).to);   // settings only
    CHECK(moves->at(1).spec["variables"]["region"].as_string() == "us");
    CHECK(moves->at(3).from.empty());
    const auto left = world.core().reader()->last_move(document->uid, "order-status@1.1.0");
    REQUIRE(left);
    REQUIRE(*left);
    CHECK((*left)->what == "rolled_back");
    CHECK_FALSE(*world.core().reader()->last_move(document->uid, "order-status@7.0.0"));
    for (std::size_t i = 0; i < kVersionMoves + 10; ++i) world.put("Deployment", "order-status", at_version(i % 2 == 0 ? "1.1.0" : "1.2.0"));
    CHECK(world.core().reader()->version_moves(document->uid, 10'000)->size() == kVersionMoves);
    REQUIRE(await<Nothing>([&](auto done) { world.core().delete_document("Trigger", "orders", world.who, done); }));
    REQUIRE(await<Nothing>([&](auto done) { world.core().delete_document("Deployment", "order-status", world.who, done); }));
    CHECK(world.core().reader()->version_moves(document->uid, 10)->empty());
}

TEST_CASE("a preflight says who could run it now, later or not, and why", "[core][versions]")
{
    World world;
    const Json manifest = Json::object({{"requires", Json::object({{"programs", Json::array({"python3"})}, {"millwright", ">=0.3"}})}});
    world.orders(Json::object(), Json::object(), manifest);
    auto nobody = preflight(world);
    CHECK(nobody.now + nobody.later + nobody.no == 0);
    CHECK(has(nobody.problems, "no_agents"));
    const Json facts = Json::object({{"programs", Json::object({{"python3", "3.11"}})}, {"millwright", "0.4"}});
    const auto ready = world.agent("srv-1", "prod", protocol::AgentMode::unattended, facts);
    (void)world.agent("srv-2", "prod", protocol::AgentMode::unattended, facts);
    (void)world.agent("srv-3", "prod", protocol::AgentMode::attended, Json::object({{"millwright", "0.2"}}));
    (void)world.agent("far-1", "elsewhere", protocol::AgentMode::unattended, facts);
    const auto parking = world.park(ready);
    auto found = preflight(world);
    CHECK(found.now == 1);
    CHECK(found.later == 1);
    CHECK(found.no == 1);
    CHECK(found.summary == "1 of 3 agents of environment 'prod' can run it now: srv-1");
    REQUIRE(found.agents.size() == 3);
    CHECK(found.agents.at(0).name == "srv-1");
    CHECK(found.agents.at(0).version == "0.4");
    CHECK(has(found.agents.at(1).reasons, "agent_offline"));
    CHECK(has(found.agents.at(2).reasons, "agent_attended"));
    CHECK(has(found.agents.at(2).reasons, "missing_fact"));
    CHECK_FALSE(found.blocked);

    SECTION("another trigger may take the attended ones") {
        world.put("Trigger", "by-hand", Json::object({{"deployment", "order-status"}, {"type", "api"}, {"runOn", "any"}}));
        CHECK_FALSE(has(preflight(world).agents.at(2).reasons, "agent_attended"));
    }
    SECTION("the answer is bounded, its counts are not") {
        for (int i = 0; i < 30; ++i) (void)world.agent(fmt::format("many-{:02}", i), "prod", protocol::AgentMode::unattended, facts);
        found = preflight(world, 3);
        CHECK(found.later == 31);
        CHECK(found.agents.size() == 5);
    }
    SECTION("it follows what happens") {
        (void)world.run();
        found = preflight(world);
        CHECK(found.now == 0);
        CHECK(has(found.agents.at(0).reasons, "slots_full"));
        REQUIRE(become(world, PackageState::deprecated, "use 1.3"));
        CHECK(has(preflight(world).problems, "package_deprecated"));
    }
    CHECK(await<Preflight>([&](auto done) { world.core().preflight("nothing", 5, done); }).error().code == Errc::not_found);
}

TEST_CASE("in a store of before all versions are released, and a deployment's history begins with what it is", "[core][store]")
{
    auto folder = std::make_shared<Folder>();
    {
        World before({}, folder);
        before.orders();
    }
    make_older(folder->path, 6);
    World world({}, folder);
    CHECK(world.core().reader()->package("order-status", "1.2.0")->state == PackageState::released);
    const auto document = world.core().reader()->document("Deployment", "order-status");
    const auto moves = world.core().reader()->version_moves(document->uid, 10);
    REQUIRE(moves);
    REQUIRE(moves->size() == 1);
    CHECK(moves->at(0).to == "order-status@1.2.0");
    CHECK(moves->at(0).spec == document->spec);
    CHECK(moves->at(0).who == "admin");
}
