// Locks: one holder, or as many as the environment says; taken with the assignment, released with the end, whatever end that is.
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

Json names(std::initializer_list<const char*> locks)
{
    Json out = Json::array();
    for (const char* name : locks) out.push(Json(name));
    return out;
}

void trigger(World& world, const std::string& name, Json locks, int priority = 50, const std::string& deployment = "order-status")
{
    world.put("Trigger", name, Json::object({{"deployment", deployment}, {"type", "api"}, {"priority", priority}, {"locks", std::move(locks)}}));
}

JobRecord run_of(World& world, const std::string& trigger)
{
    RunRequest request;
    request.trigger = trigger;
    return world.run(Json::object(), request);
}

std::vector<LockState> locks(World& world)
{
    auto out = await<std::vector<LockState>>([&](auto done) { world.core().locks(done); });
    REQUIRE(out);
    return *out;
}

void end(World& world, const AgentRecord& agent, const Parking& parking, std::size_t offer = 0)
{
    world.report(agent, parking.value().offers.at(offer).id, {world.state(1, JobState::running), world.state(2, JobState::successful, Reason::completed)});
}

}  // namespace

TEST_CASE("a job that needs a lock waits until its holder has ended, says so, and is taken at once then", "[core][locks]")
{
    World world;
    world.orders(Json::object({{"locks", names({"erp"})}}));
    trigger(world, "invoices", names({"erp"}));
    trigger(world, "free", names({}));
    const auto one = world.agent("srv-1"), two = world.agent("srv-2");
    const auto first = world.park(one);
    const auto held = world.run();
    REQUIRE(first.answered());
    const auto second = world.park(two);
    const auto waits = run_of(world, "invoices");
    CHECK(waits.state == JobState::ready);
    REQUIRE_FALSE(second.answered());

    const auto why = world.why(waits.uid);
    CHECK_THAT(why.summary, Catch::Contains("waits for lock erp, held by job " + held.uid + " of trigger orders since "));
    CHECK(world.codes(waits.uid).at(0) == "lock_held");
    const auto known = locks(world);
    REQUIRE(known.size() == 1);
    CHECK(known[0].environment == "prod");
    CHECK(known[0].slots == 1);
    REQUIRE(known[0].holders.size() == 1);
    CHECK(known[0].holders[0].job == held.uid);
    CHECK(known[0].holders[0].agent == "srv-1");
    REQUIRE(known[0].waiting.size() == 1);
    CHECK(known[0].waiting[0].trigger == "invoices");
    CHECK(known[0].waiting[0].jobs == 1);

    const auto other = run_of(world, "free");   // the queue that waits holds up no other
    REQUIRE(second.answered());
    CHECK(second.value().offers.at(0).id.job == other.uid);
    const auto again = world.park(two);
    REQUIRE_FALSE(again.answered());
    end(world, one, first);
    REQUIRE(again.answered());
    CHECK(again.value().offers.at(0).id.job == waits.uid);
    end(world, two, again);
    CHECK(locks(world).empty());
}

TEST_CASE("a lock is released by every end of its holder, and by an attempt that comes back", "[core][locks]")
{
    World world;
    world.orders(Json::object({{"locks", names({"erp"})}}));
    const auto one = world.agent("srv-1"), two = world.agent("srv-2");
    const auto first = world.park(one);
    const auto held = world.run();
    const auto waits = world.run();
    const auto second = world.park(two);
    REQUIRE_FALSE(second.answered());
    SECTION("it is cancelled")
    {
        world.report(one, first.value().offers.at(0).id, {world.state(1, JobState::running)});
        REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(held.uid, "", world.who, done); }));
        REQUIRE_FALSE(second.answered());   // it is asked to; it has the lock until it has ended
        world.report(one, first.value().offers.at(0).id, {world.state(2, JobState::cancelled, Reason::cancelled_by)});
    }
    SECTION("it failed") { world.report(one, first.value().offers.at(0).id, {world.state(1, JobState::running), world.state(2, JobState::failed, Reason::internal)}); }
    SECTION("its agent is busy: the one that is older goes first again")
    {
        const auto busy = world.park(one, 0, {{first.value().offers.at(0).id, true, "full"}});
        REQUIRE(second.answered());
        CHECK(second.value().offers.at(0).id.job == held.uid);
        end(world, two, second);
        const auto last = world.park(two);
        REQUIRE(last.answered());
        CHECK(last.value().offers.at(0).id.job == waits.uid);
        return;
    }
    SECTION("its agent is lost")
    {
        world.report(one, first.value().offers.at(0).id, {world.state(1, JobState::running)});
        world.pass(minutes(20));
        CHECK(world.job(held.uid).reason == Reason::agent_lost);
    }
    REQUIRE(second.answered());
    CHECK(second.value().offers.at(0).id.job == waits.uid);
}

TEST_CASE("locks are still held, and still waited for, when the factory starts anew", "[core][locks]")
{
    World world;
    world.orders(Json::object({{"locks", names({"erp"})}}));
    const auto one = world.agent("srv-1"), two = world.agent("srv-2");
    const auto first = world.park(one);
    const auto held = world.run();
    const auto waits = world.run();
    world.report(one, first.value().offers.at(0).id, {world.state(1, JobState::running)});
    world.restart();
    const auto second = world.park(two);
    REQUIRE_FALSE(second.answered());
    CHECK(world.codes(waits.uid).at(0) == "lock_held");
    world.report(one, first.value().offers.at(0).id, {world.state(2, JobState::successful, Reason::completed)});
    REQUIRE(second.answered());
    CHECK(second.value().offers.at(0).id.job == waits.uid);
    CHECK(held.uid != waits.uid);
}

TEST_CASE("all of a job's locks are taken together or none, so that nobody waits for somebody who waits", "[core][locks]")
{
    World world;
    world.orders(Json::object({{"locks", names({"a", "b"})}}));
    trigger(world, "only-b", names({"b"}));
    trigger(world, "only-a", names({"a"}));
    const auto one = world.agent("srv-1"), two = world.agent("srv-2");
    const auto first = world.park(one);
    run_of(world, "only-b");
    REQUIRE(first.answered());
    const auto both = world.run();
    const auto second = world.park(two);
    REQUIRE_FALSE(second.answered());        // b is held; a is free, and is not taken
    const auto a = run_of(world, "only-a");
    REQUIRE(second.answered());
    CHECK(second.value().offers.at(0).id.job == a.uid);
    const auto third = world.park(one);
    end(world, one, first);
    REQUIRE_FALSE(third.answered());         // now a is held
    CHECK_THAT(world.why(both.uid).summary, Catch::Contains("waits for lock a"));
    end(world, two, second);
    REQUIRE(third.answered());
    CHECK(third.value().offers.at(0).id.job == both.uid);
    CHECK(locks(world).size() == 2);
}

TEST_CASE("an environment gives a lock a number of holders, and another environment's lock of the same name is another", "[core][locks]")
{
    World world;
    world.orders({}, Json::object({{"locks", names({"erp"})}}));   // of the deployment: of all its triggers
    world.put("Environment", "prod", Json::object({{"agents", Json::array({"srv-*"})}, {"locks", Json::object({{"erp", 2}})}}));
    const auto one = world.agent("srv-1");
    const auto parking = world.park(one, 5);
    world.run();
    REQUIRE(parking.answered());
    const auto next = world.park(one, 5);
    world.run();
    REQUIRE(next.answered());
    const auto third = world.park(one, 5);
    const auto waits = world.run();
    REQUIRE_FALSE(third.answered());
    CHECK_THAT(world.why(waits.uid).summary, Catch::Contains("(2 at a time may)"));

    world.put("Deployment", "elsewhere", Json::object({{"package", "order-status@1.2.0"}, {"environment", "test"}, {"permissions", "as-requested"}}));
    trigger(world, "tests", names({"erp"}), 50, "elsewhere");
    const auto tester = world.agent("test-1", "test");
    const auto test = world.park(tester);
    run_of(world, "tests");
    CHECK(test.answered());

    // One more slot: the job that waits for it goes at once.
    world.put("Environment", "prod", Json::object({{"agents", Json::array({"srv-*"})}, {"locks", Json::object({{"erp", 3}})}}));
    world.core().flush();
    REQUIRE(third.answered());
    CHECK(third.value().offers.at(0).id.job == waits.uid);
    REQUIRE(locks(world).size() == 2);
    CHECK(locks(world)[0].slots == 3);
}

TEST_CASE("of several triggers that wait for a lock the one whose turn it is gets it, whichever was made first", "[core][locks]")
{
    World world;
    world.orders(Json::object({{"locks", names({"erp"})}}));
    trigger(world, "low", names({"erp"}), 20);
    trigger(world, "high", names({"erp"}), 80);
    const auto one = world.agent("srv-1"), two = world.agent("srv-2");
    const auto low_first = run_of(world, "low");        // the binding of the lowest number
    const auto first = world.park(one);
    REQUIRE(first.value().offers.at(0).id.job == low_first.uid);
    const auto low = run_of(world, "low"), middle = world.run(), high = run_of(world, "high");
    std::vector<std::string> order;
    auto parking = world.park(two);
    end(world, one, first);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(parking.answered());
        order.push_back(parking.value().offers.at(0).id.job);
        const auto& busy = i % 2 == 0 ? two : one;
        const auto next = world.park(i % 2 == 0 ? one : two);
        end(world, busy, parking);
        parking = next;
    }
    CHECK(order == std::vector<std::string>{high.uid, middle.uid, low.uid});
}
