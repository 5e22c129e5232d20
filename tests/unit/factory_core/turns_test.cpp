// A waiting job's priority rises with time: who is less urgent comes all the same.
#include "factory/dispatch/ageing.h"
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;
using dispatch::aged_priority;
using dispatch::turn_of;

namespace {

constexpr Milliseconds kTenMinutes = minutes(10);

/// More urgent jobs come as fast as they can be done. After how many of them the less urgent one ran; -1: not within `most`.
int starved_for(Milliseconds ageing, int urgent, int most)
{
    CoreOptions options;
    options.ageing = ageing;
    World world(options);
    world.orders(Json::object({{"priority", 10}}));
    world.put("Trigger", "urgent", Json::object({{"deployment", "order-status"}, {"type", "api"}, {"priority", urgent}}));
    const auto srv = world.agent("srv-1");
    const auto low = world.run();
    RunRequest request;
    request.trigger = "urgent";
    world.run(Json::object(), request);
    for (int done = 0; done < most; ++done) {
        world.run(Json::object(), request);
        const auto parking = world.park(srv);
        const auto id = parking.value().offers.at(0).id;
        if (id.job == low.uid) return done;
        world.report(srv, id, {world.state(1, JobState::running), world.state(2, JobState::successful, Reason::completed)});
        world.pass(minutes(5));
    }
    return -1;
}

}  // namespace

TEST_CASE("a priority counts as one more after each period, up to below urgent", "[core][turns]")
{
    CHECK(aged_priority(50, minutes(0), kTenMinutes) == 50);
    CHECK(aged_priority(50, minutes(9), kTenMinutes) == 50);
    CHECK(aged_priority(50, minutes(120), kTenMinutes) == 62);
    CHECK(aged_priority(50, std::chrono::hours(24 * 30), kTenMinutes) == 89);
    CHECK(aged_priority(95, std::chrono::hours(24 * 30), kTenMinutes) == 100);
    CHECK(aged_priority(50, minutes(120), Milliseconds(0)) == 50);
    CHECK(aged_priority(50, Milliseconds(-5), kTenMinutes) == 50);   // the clock was set back
}

TEST_CASE("turns order as aged priorities do, once and for ever", "[core][turns]")
{
    const WallTime start{1'700'000'000'000'000};
    CHECK(turn_of(50, start, kTenMinutes) < turn_of(50, start + minutes(1), kTenMinutes));
    CHECK(turn_of(51, start + minutes(9), kTenMinutes) < turn_of(50, start, kTenMinutes));
    CHECK(turn_of(51, start + minutes(11), kTenMinutes) > turn_of(50, start, kTenMinutes));
    // Urgent goes before all that is not, however old that is; and nothing overflows.
    for (const Milliseconds ageing : {Milliseconds(0), Milliseconds(1'000), kTenMinutes, Milliseconds(std::chrono::hours(24 * 366))}) {
        CHECK(turn_of(90, start + std::chrono::hours(24 * 3'660), ageing) < turn_of(89, start, ageing));
        CHECK(turn_of(100, start, ageing) < turn_of(90, start, ageing));
        CHECK(turn_of(1, start, ageing) < turn_of(0, start, ageing));
    }
    // Without ageing only the priority counts, and the age among equals.
    CHECK(turn_of(51, start + std::chrono::hours(24 * 366 * 20), Milliseconds(0)) < turn_of(50, start, Milliseconds(0)));
    CHECK(turn_of(50, start, Milliseconds(0)) < turn_of(50, start + minutes(1), Milliseconds(0)));
}

TEST_CASE("who is less urgent is not starved by those who keep coming, unless priorities do not age", "[core][turns]")
{
    CHECK(starved_for(Milliseconds(0), 50, 200) == -1);
    const int waited = starved_for(kTenMinutes, 50, 200);   // 40 steps of 10 min are 80 jobs of 5 min
    CHECK(waited > 70);
    CHECK(waited < 90);
    CHECK(starved_for(kTenMinutes, 90, 200) == -1);         // very-high stays before it
}

TEST_CASE("the order is the same after a restart, and another one when the factory ages otherwise", "[core][turns]")
{
    auto folder = std::make_shared<Folder>();
    auto clock = std::make_shared<FakeClock>();
    std::string old_one, urgent;
    {
        World world({}, folder, clock);
        world.orders(Json::object({{"priority", 50}, {"expiration", "100h"}}));
        world.put("Trigger", "urgent", Json::object({{"deployment", "order-status"}, {"type", "api"}, {"priority", 60}, {"expiration", "100h"}}));
        world.agent("srv-1");
        old_one = world.run().uid;
        world.pass(std::chrono::hours(2));
        RunRequest request;
        request.trigger = "urgent";
        urgent = world.run(Json::object(), request).uid;
        world.restart();
        const auto why = world.why(old_one);
        const auto aged = std::find_if(why.reasons.begin(), why.reasons.end(), [](const WhyReason& reason) { return reason.code == "priority"; });
        REQUIRE(aged != why.reasons.end());
        CHECK(aged->text == "priority 50, counts as 62 after 2h");
        CHECK(aged->subject == "62");
    }
    CoreOptions options;
    const bool ages = GENERATE(true, false);
    if (!ages) options.ageing = Milliseconds(0);
    World world(options, folder, clock);
    auto agents = world.core().agents();
    REQUIRE(agents);
    const auto parking = world.park(agents->at(0));
    CHECK(parking.value().offers.at(0).id.job == (ages ? old_one : urgent));
}
