// What a published version is for, and a deployment's way between versions.
#include "tests/unit/factory_core/older_store.h"
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

Result<PackageRecord> become(World& world, PackageState state, const std::string& why = "", const std::string& version = "1.2.0")
{
    return await<PackageRecord>([&](auto done) { world.core().set_package_state("order-status", version, state, why, world.who, done); });
}

Json at_version(const std::string& version, const std::string& region = "eu")
{
    return Json::object({{"package", "order-status@" + version}, {"environment", "prod"}, {"permissions", "as-requested"}, {"variables", Json::object({{"region", region}})}});
}

Result<VersionMoved> move(World& world, const std::string& version, bool rebind, std::uint64_t generation = 0)
{
    const auto now = world.core().reader()->document("Deployment", "order-status");
    REQUIRE(now);
    Json spec = at_version(version);
    spec.set("kind", "Deployment").set("name", "order-status");
    VersionOrder order{.deployment = "order-status", .spec = spec, .generation = generation == 0 ? now->generation : generation, .what = "rolled_back", .why = "slow", .rebind_waiting = rebind};
    return await<VersionMoved>([&](auto done) { world.core().move_deployment(order, world.who, done); });
}

Preflight preflight(World& world, std::size_t most = 20)
{
    auto out = await<Preflight>([&](auto done) { world.core().preflight("order-status", most, done); });
    REQUIRE(out);
    return *out;
}

bool has(const std::vector<WhyReason>& reasons, std::string_view code)
{
    for (const WhyReason& reason : reasons)
        if (reason.code == code) return true;
    return false;
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

namespace {

/// Two versions, a group `early` with srv-1 and srv-2, and srv-9 outside of it; 1.2.0 for two jobs in the group first.
struct Canary {
    World world;
    AgentRecord early, late;
    Canary()
    {
        world.put("Environment", "prod", *parse_json(R"({"groups":[{"name":"early","agents":["srv-1","srv-2"]}],"agents":["srv-9"]})"));
        world.package("order-status", Json::object(), "1.1.0");
        world.orders();
        world.put("Deployment", "order-status", at_version("1.1.0"));
        early = world.agent("srv-1");
        late = world.agent("srv-9");
        Json spec = at_version("1.2.0");
        spec.set("canary", Json::object({{"group", "early"}, {"jobs", 2}}));
        world.put("Deployment", "order-status", spec);
    }
    /// Polls, then a job comes: what it became, its attempt taken.
    std::pair<JobRecord, protocol::AttemptId> one(const AgentRecord& agent)
    {
        const auto parking = world.park(agent);
        const auto job = world.run();
        REQUIRE(parking.value().offers.size() == 1);
        return {job, parking.value().offers.at(0).id};
    }
    void end(const AgentRecord& agent, const protocol::AttemptId& id, JobState how, Reason why)
    {
        world.report(agent, id, {world.state(1, JobState::running), world.state(2, how, why, Json::object({{"error", Json::object({{"title", "no such order"}})}}))});
    }
    std::string deployed() { return world.core().reader()->document("Deployment", "order-status")->spec["package"].as_string(); }
    VersionMove last() { return world.core().reader()->version_moves(world.core().reader()->document("Deployment", "order-status")->uid, 1)->at(0); }
};

}  // namespace

TEST_CASE("a canary's version goes to its group, and to all when its jobs were successful", "[core][versions][canary]")
{
    Canary at;
    const auto [outside, id9] = at.one(at.late);
    CHECK(outside.package_version == "1.1.0");
    CHECK(has(preflight(at.world).problems, "canary_under_way"));
    const auto [first, id1] = at.one(at.early);
    CHECK(first.package_version == "1.2.0");
    at.end(at.early, id1, JobState::successful, Reason::completed);
    SECTION("also over a restart") { at.world.restart(); }
    SECTION("at once") {}
    const auto [second, id2] = at.one(at.early);
    CHECK(second.package_version == "1.2.0");
    // Both places are taken: nobody else gets it before they are known to be good.
    const auto third = at.world.run();
    CHECK(third.package_version == "1.1.0");
    at.end(at.early, id2, JobState::successful, Reason::completed);
    CHECK(at.world.run().package_version == "1.2.0");
    CHECK(at.last().what == "promoted");
    CHECK_THAT(at.last().why, Catch::Contains("the 2 jobs"));
    CHECK_FALSE(has(preflight(at.world).problems, "canary_under_way"));
    CHECK(at.world.core().reader()->trials()->empty());
}

TEST_CASE("no job waits for a canary: where nobody of the group is free the version before goes on", "[core][versions][canary]")
{
    Canary at;
    const auto waiting = at.world.run();
    CHECK(waiting.package_version == "1.1.0");
    const auto [job, id] = at.one(at.late);   // the first one came first
    CHECK(job.package_version == "1.1.0");
    CHECK(at.world.job(waiting.uid).state == JobState::assigned);
}

TEST_CASE("a canary's failed job brings the version before back, and what waits goes over", "[core][versions][canary]")
{
    Canary at;
    const auto [job, id] = at.one(at.early);
    REQUIRE(job.package_version == "1.2.0");
    SECTION("a failure of its own")
    {
        at.end(at.early, id, JobState::failed, Reason::error);
        CHECK(at.deployed() == "order-status@1.1.0");
        CHECK(at.last().what == "rolled_back");
        CHECK(at.last().who == "canary");
        CHECK_THAT(at.last().why, Catch::Contains(job.uid) && Catch::Contains("no such order"));
        CHECK(at.world.run().package_version == "1.1.0");
        at.world.restart();
        CHECK(at.world.run().package_version == "1.1.0");
    }
    SECTION("what is the machine's says nothing of the version")
    {
        at.end(at.early, id, JobState::failed, Reason::outcome_unknown);
        CHECK(at.deployed() == "order-status@1.2.0");
        CHECK(has(preflight(at.world).problems, "canary_under_way"));
    }
    SECTION("one that came back to wait goes over")
    {
        (void)at.world.park(at.early, 0, {{id, false, "policy"}});   // it is ready again, and still for the group
        REQUIRE(at.world.job(job.uid).state == JobState::ready);
        CHECK(at.world.why(job.uid).reasons.size() >= 1);
        const auto two = at.world.agent("srv-2");
        const auto parking = at.world.park(two);
        REQUIRE(parking.answered());   // the group's other agent takes it
        const auto [more, id_more] = at.one(at.early);
        REQUIRE(more.package_version == "1.2.0");
        (void)at.world.park(two, 0, {{parking.value().offers.at(0).id, false, "policy"}});
        REQUIRE(at.world.job(job.uid).state == JobState::ready);
        at.end(at.early, id_more, JobState::failed, Reason::error);
        CHECK(at.world.job(job.uid).package_version == "1.1.0");
        const auto line = at.world.line_of(job.uid);
        CHECK(std::find(line.begin(), line.end(), "rebound") != line.end());
    }
}

TEST_CASE("a canary ends by hand, by a rollback, by its deployment's end, and when another version comes", "[core][versions][canary]")
{
    Canary at;
    at.world.package("order-status", Json::object(), "1.3.0");
    const auto promote = [&] { return await<Nothing>([&](auto done) { at.world.core().promote_deployment("order-status", "looked at it", at.world.who, done); }); };
    SECTION("by hand")
    {
        REQUIRE(promote());
        CHECK(at.world.run().package_version == "1.2.0");
        CHECK(at.last().why == "looked at it");
        CHECK(promote().error().code == Errc::conflict);
    }
    SECTION("by a rollback")
    {
        REQUIRE(move(at.world, "1.1.0", false));
        CHECK(at.world.run().package_version == "1.1.0");
        CHECK(promote().error().code == Errc::conflict);
    }
    SECTION("another version is tried in its place, and the others stay where they were")
    {
        Json spec = at_version("1.3.0");
        spec.set("canary", Json::object({{"group", "early"}, {"jobs", 2}}));
        at.world.put("Deployment", "order-status", spec);
        CHECK(at.one(at.early).first.package_version == "1.3.0");
        CHECK(at.world.run().package_version == "1.1.0");
    }
    SECTION("without one in the file all get it")
    {
        at.world.put("Deployment", "order-status", at_version("1.2.0"));
        CHECK(at.world.run().package_version == "1.2.0");
    }
    SECTION("back to the version before by an apply")
    {
        Json spec = at_version("1.1.0");
        spec.set("canary", Json::object({{"group", "early"}, {"jobs", 2}}));
        at.world.put("Deployment", "order-status", spec);
        CHECK(at.world.run().package_version == "1.1.0");
        CHECK(at.world.core().reader()->trials()->empty());
    }
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
