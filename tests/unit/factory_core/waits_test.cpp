// What jobs waited for, when they do not any more.
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

TEST_CASE("what a job waited for, and how long, is known when it does not wait any more", "[core][why]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1", "prod", protocol::AgentMode::attended);
    auto parking = world.park(srv);
    const auto job = world.run();
    REQUIRE(job.state == JobState::ready);
    for (int i = 0; i < 15; ++i) world.pass(minutes(1));
    SECTION("as it began") {}
    SECTION("also when the factory was started anew meanwhile")
    {
        world.restart();
    }
    parking = world.park(srv);   // the one before was answered long ago
    world.pass(seconds(11));
    AgentPatch patch;
    patch.mode = protocol::AgentMode::unattended;
    REQUIRE(await<AgentRecord>([&](auto done) { world.core().set_agent("srv-1", patch, world.who, done); }));
    world.core().flush();
    const auto why = world.why(job.uid);
    const auto waited = std::find_if(why.reasons.begin(), why.reasons.end(), [](const WhyReason& reason) { return reason.code == "waited"; });
    REQUIRE(waited != why.reasons.end());
    CHECK_THAT(waited->text, Catch::Contains("it was ready for 15m") && Catch::Contains("srv-1 is attended"));
    // And it stays known when the job has ended.
    REQUIRE(parking.answered());
    world.report(srv, parking.value().offers.at(0).id, {world.state(1, JobState::running), world.state(2, JobState::successful, Reason::completed)});
    CHECK(world.codes(job.uid) == std::vector<std::string>{"ended", "waited"});
    const auto rows = world.core().reader()->timeline(job.uid);
    for (const TimelineRow& row : *rows)
        if (row.what == "assigned") CHECK_THAT(row.detail["text"].as_string(), Catch::Contains("it waited") && Catch::Contains("srv-1 is attended"));
}

TEST_CASE("a job that starts at once waited for nothing", "[core][why]")
{
    World world;
    world.orders();
    const auto offered = world.offered();
    CHECK(world.codes(offered.job.uid) == std::vector<std::string>{"offered"});
}
