// A version that a group of agents tries first (canary).
#include "tests/unit/factory_core/versions.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

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

TEST_CASE("a version that is decommissioned while it is tried goes back, and nobody's jobs stop", "[core][versions][canary]")
{
    Canary at;
    REQUIRE(await<PackageRecord>([&](auto done) { at.world.core().set_package_state("order-status", "1.2.0", PackageState::decommissioned, "orders twice", at.world.who, done); }));
    CHECK(at.deployed() == "order-status@1.1.0");
    CHECK(at.last().what == "rolled_back");
    CHECK_THAT(at.last().why, Catch::Contains("was decommissioned: orders twice"));
    CHECK(at.world.run().package_version == "1.1.0");
}

TEST_CASE("a canary's job that waits for its approval still counts after a restart", "[core][versions][canary]")
{
    Canary at;
    at.world.put("Trigger", "orders", Json::object({{"deployment", "order-status"}, {"type", "api"}, {"approval", Json::object({{"by", Json::array({"role:operator"})}, {"within", "1h"}})}}));
    (void)at.world.park(at.early);
    const auto first = at.world.run(), second = at.world.run();
    REQUIRE(first.package_version == "1.2.0");
    REQUIRE(second.package_version == "1.2.0");
    at.world.restart();
    (void)at.world.park(at.early);
    CHECK(at.world.run().package_version == "1.1.0");   // both places are taken
}
