// Approvals for environments, names that are taken over, and a store of before either.
#include <sqlite3.h>

#include "platform/fingerprint.h"
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

AgentRecord admitted(World& world, const std::string& name, const std::string& environment, Json more = {})
{
    AdmitRequest request;
    request.name = name;
    request.public_key = std::string(32, 'a') + name;
    request.environment = environment;
    request.approve_in = std::move(more);
    auto out = await<AgentRecord>([&](auto done) { world.core().admit(request, world.who, done); });
    REQUIRE(out);
    return *out;
}

AgentRecord set(World& world, const std::string& name, AgentPatch patch)
{
    auto out = await<AgentRecord>([&](auto done) { world.core().set_agent(name, patch, world.who, done); });
    REQUIRE(out);
    return *out;
}

AgentRecord current(World& world)
{
    const auto all = world.core().agents();
    REQUIRE(all);
    REQUIRE(all->size() == 1);
    return all->front();
}

}  // namespace

TEST_CASE("an agent approved for one environment gets no jobs of another until it is approved there", "[core][dispatch]")
{
    World world;
    world.orders();
    world.put("Environment", "prod", Json::object({{"agents", Json::array({"srv-*"})}}));
    const auto srv = admitted(world, "srv-1", "test");
    CHECK(srv.approved);
    CHECK(srv.approved_in == Json::array({Json("test")}));
    const auto parking = world.park(srv);
    const auto job = world.run();
    CHECK_FALSE(parking.answered());
    const auto why = world.why(job.uid);
    CHECK(why.reasons.at(0).code == "agent_not_approved");
    CHECK(why.reasons.at(0).text.find("srv-1 is not approved for environment 'prod'") != std::string::npos);
    CHECK(why.reasons.at(0).command == "millwright agents set srv-1 --approve-in test --approve-in prod");

    AgentPatch patch;
    patch.approved_in = Json::array({Json("test"), Json("prod")});
    set(world, "srv-1", patch);
    world.core().flush();
    REQUIRE(parking.answered());   // the approval itself starts the job
    CHECK(parking.value().offers.size() == 1);

    SECTION("to take the last one away is to approve it no more; it holds after a restart")
    {
        patch.approved_in = Json::array();
        CHECK_FALSE(set(world, "srv-1", patch).approved);
        world.restart();
        CHECK_FALSE(current(world).approved);
        patch.approved_in.reset();
        patch.approved = true;
        CHECK(set(world, "srv-1", patch).approved_in == Json::array({Json("test")}));   // its own
        world.restart();
        CHECK(current(world).approved_in == Json::array({Json("test")}));
    }
    SECTION("moved, it is approved there as it was here")
    {
        patch.approved_in.reset();
        patch.environment = "night";
        CHECK(set(world, "srv-1", patch).approved_in == Json::array({Json("night"), Json("prod")}));
    }
}

TEST_CASE("an admission may name more environments, or all", "[core][dispatch]")
{
    World world;
    world.orders();
    world.put("Environment", "prod", Json::object({{"agents", Json::array({"srv-*"})}}));
    const auto srv = admitted(world, "srv-1", "test", Json::array({Json("*")}));
    const auto parking = world.park(srv);
    (void)world.run();
    REQUIRE(parking.answered());
    CHECK(parking.value().offers.size() == 1);
}

TEST_CASE("agents of a store of before keep their approval for all environments", "[core][store]")
{
    auto folder = std::make_shared<Folder>();
    std::string id;
    {
        World before({}, folder);
        before.orders();
        before.put("Environment", "prod", Json::object({{"agents", Json::array({"srv-*"})}}));
        id = before.agent("srv-1", "test").id;
    }
    const std::string file = folder->path + "/factory.db";
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, "alter table agents drop column approved_in; alter table agents drop column reported; alter table attempts drop column epoch; drop table schedules; drop table firings; alter table packages drop column state; alter table packages drop column state_by; alter table packages drop column state_why; alter table packages drop column state_at; drop table version_moves; drop table notifier_states; drop index deliveries_pending; drop index deliveries_behind; drop index deliveries_dead; alter table deliveries drop column subject; alter table deliveries drop column kept; drop table callbacks; pragma user_version = 3;", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
    World world({}, folder);
    const AgentRecord srv = current(world);
    CHECK(srv.id == id);
    CHECK(srv.approved);
    CHECK(srv.approved_in.is_null());
    const auto parking = world.park(srv);
    (void)world.run();
    REQUIRE(parking.answered());
    CHECK(parking.value().offers.size() == 1);
}

TEST_CASE("a name that is taken over keeps its id, jobs and environment, and only the new key counts", "[core]")
{
    World world;
    world.orders();
    auto offered = world.offered();
    AdmitRequest request;
    request.name = "srv-1";
    request.public_key = std::string(32, 'n');
    request.environment = "elsewhere";
    const auto admit = [&] { return await<AgentRecord>([&](auto done) { world.core().admit(request, world.who, done); }); };
    CHECK(admit().error().code == Errc::conflict);
    AgentPatch revoke;
    revoke.revoked = true;
    CHECK(set(world, "srv-1", revoke).public_key.empty());
    CHECK(admit().error().code == Errc::conflict);   // to take a name over has to be said
    request.take_over = true;
    const auto taken = admit();
    REQUIRE(taken);
    CHECK(taken->id == offered.agent.id);
    CHECK(taken->environment == "prod");
    CHECK(taken->public_key == request.public_key);
    CHECK(world.report(*taken, offered.id, {world.state(1, JobState::running)}).acknowledged == 1);   // its reports are taken
    world.restart();
    CHECK(current(world).public_key == request.public_key);
    request.name = "srv-2";
    CHECK(admit().error().code == Errc::conflict);   // one key, one agent
}

TEST_CASE("a key is changed once, by who has the one before", "[core]")
{
    World world;
    const auto srv = world.agent("srv-1");
    const auto change = [&](const std::string& from, const std::string& to) {
        return await<AgentRecord>([&](auto done) { world.core().change_key(srv.id, from, to, world.who, done); });
    };
    CHECK(change("wrong", "new").error().code == Errc::conflict);
    REQUIRE(change(srv.public_key, "new"));
    CHECK(change(srv.public_key, "new"));   // said again
    CHECK(change(srv.public_key, "other").error().code == Errc::conflict);
    AgentPatch freeze;
    freeze.frozen = true;
    set(world, "srv-1", freeze);
    CHECK(change("new", "newer").error().code == Errc::denied);
}

TEST_CASE("an agent that is not subscribed is answered at once, and is there until its next poll is due", "[core]")
{
    World world;
    const auto srv = world.agent("srv-1");
    Parking parking;
    world.core().park({srv.id, 1, {}, {}, Milliseconds(0), Milliseconds(60'000)}, [answer = parking.answer](Result<PollAnswer> result) { *answer = std::move(result); });
    world.core().flush();
    REQUIRE(parking.answered());
    CHECK(parking.value().offers.empty());
    world.pass(seconds(65));
    CHECK(current(world).online);
    world.pass(seconds(10));
    CHECK_FALSE(current(world).online);
}

TEST_CASE("a key that was replaced by one that is in use freezes the agent when it is proved again", "[core][agents]")
{
    World world;
    const auto srv = world.agent("srv-1");
    const std::string owner = srv.public_key, thief = std::string(32, 't');
    const auto change = [&](const std::string& from, const std::string& to) {
        return await<AgentRecord>([&](auto done) { world.core().change_key(srv.id, from, to, world.who, done); });
    };
    std::uint64_t counter = 0;
    const auto session = [&](const std::string& key) {
        ++counter;
        return await<std::string>([&](auto done) { world.core().step_counter({srv.id, counter, "jti-" + std::to_string(counter), "answer", key}, done); });
    };
    const auto proved = [&](const std::string& key, WallTime made) {
        const auto frozen = await<bool>([&](auto done) { world.core().replaced_key_used({srv.id, key, made}, world.who, done); });
        REQUIRE(frozen);
        return *frozen;
    };
    REQUIRE(session(owner));
    CHECK(world.core().replaced_keys(srv.id)->empty());
    REQUIRE(change(owner, thief));
    const WallTime changed = world.clock().now();
    REQUIRE(world.core().replaced_keys(srv.id)->size() == 1);
    CHECK(session(owner).error().code == Errc::conflict);   // it was checked before the change, and is counted after it

    SECTION("not while the new key was never used: the answer to the change was lost")
    {
        world.pass(seconds(60));
        CHECK_FALSE(proved(owner, world.clock().now()));
        CHECK_FALSE(current(world).frozen);
    }
    SECTION("not for what was said before the change, nor for a key that it never had")
    {
        REQUIRE(session(thief));
        CHECK_FALSE(proved(owner, changed));
        CHECK_FALSE(proved(std::string(32, 'x'), world.clock().now() + seconds(1)));
        CHECK_FALSE(current(world).frozen);
    }
    SECTION("after its use, and after a restart of the factory: both keys are named")
    {
        REQUIRE(session(thief));
        world.restart();
        world.pass(seconds(1));
        CHECK(proved(owner, world.clock().now()));
        CHECK(current(world).frozen);
        CHECK_FALSE(session(thief));
        const auto audit = world.core().reader()->audit("", 1);
        REQUIRE(audit);
        CHECK(audit->items.at(0).action == "freeze");
        CHECK(audit->items.at(0).detail["reason"].as_string() == "copied_key");
        CHECK(audit->items.at(0).detail["keyBefore"].as_string() == platform::fingerprint(owner));
        CHECK(audit->items.at(0).detail["key"].as_string() == platform::fingerprint(thief));
        CHECK(proved(owner, world.clock().now()));   // said again: frozen, and no second row
        CHECK(world.core().reader()->audit("", 10)->items.at(1).action != "freeze");
        AdmitRequest again;   // enrolled again, the old keys are nobody's
        again.name = "srv-1";
        again.public_key = std::string(32, 'n');
        again.environment = "prod";
        again.take_over = true;
        REQUIRE(await<AgentRecord>([&](auto done) { world.core().admit(again, world.who, done); }));
        CHECK(world.core().replaced_keys(srv.id)->empty());
        CHECK_FALSE(proved(owner, world.clock().now()));
        CHECK_FALSE(current(world).frozen);
    }
    SECTION("a thief cannot change it so often that the owner's is forgotten")
    {
        std::string key = thief;
        for (char name = 'A'; name < 'A' + 15; ++name) {
            REQUIRE(session(key));
            const std::string next(32, name);
            REQUIRE(change(key, next));
            key = next;
        }
        REQUIRE(session(key));
        CHECK(change(key, "one more").error().code == Errc::unavailable);
        CHECK(world.core().replaced_keys(srv.id)->back().public_key == owner);
        world.pass(std::chrono::hours(24));
        CHECK(change(key, "one more"));
        CHECK(world.core().replaced_keys(srv.id)->size() == 16);
    }
}
