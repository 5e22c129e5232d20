// People's own agents that a machine's agent vouches for.
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

Result<AgentRecord> join(World& world, const AgentRecord& machine, const std::string& user, const std::string& key = "1")
{
    auto out = await<AgentRecord>([&](auto done) { world.core().join_session({machine.id, user, std::string(32 - key.size(), 'p') + key, Json::object()}, done); });
    world.core().flush();
    return out;
}

void set(World& world, const std::string& name, AgentPatch patch)
{
    REQUIRE(await<AgentRecord>([&](auto done) { world.core().set_agent(name, patch, world.who, done); }));
    world.core().flush();
}

void allow(World& world, bool on = true)
{
    AgentPatch patch;
    patch.sessions = on;
    set(world, "srv-1", patch);
}

}  // namespace

TEST_CASE("people of a machine get agents of their own where an administrator allowed it", "[core][sessions]")
{
    World world;
    const auto machine = world.agent("srv-1");
    const auto refused = join(world, machine, "anna");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::denied);
    CHECK_THAT(refused.error().what, Catch::Contains("millwright agents set srv-1 --sessions on"));
    allow(world);
    const auto anna = join(world, machine, "anna", "1"), bert = join(world, machine, "bert", "2");
    REQUIRE(anna);
    REQUIRE(bert);
    CHECK(anna->name == "srv-1-anna");
    CHECK(anna->user == "anna");
    CHECK(anna->mode == protocol::AgentMode::attended);
    CHECK(anna->environment == "prod");
    CHECK(anna->approved);
    CHECK(anna->machine == machine.id);
    CHECK(bert->name == "srv-1-bert");
    // It is lasting, and an agent of a person vouches for nobody.
    world.restart();
    CHECK(world.core().reader()->agent_by_name("srv-1-anna")->machine == machine.id);
    CHECK(world.core().reader()->agent_by_name("srv-1")->sessions);
    CHECK(join(world, *anna, "carl", "3").error().code == Errc::denied);
    allow(world, false);
    CHECK(join(world, machine, "carl", "3").error().code == Errc::denied);
}

TEST_CASE("the same key is the same answer, another key of the same person takes its place", "[core][sessions]")
{
    World world;
    const auto machine = world.agent("srv-1");
    allow(world);
    const auto first = join(world, machine, "anna", "1"), again = join(world, machine, "anna", "1"), other = join(world, machine, "anna", "2");
    REQUIRE(first);
    REQUIRE(again);
    REQUIRE(other);
    CHECK(again->id == first->id);
    CHECK(other->id == first->id);
    CHECK(other->public_key != first->public_key);
    CHECK_FALSE(join(world, machine, "bert", "2"));   // somebody else's key
}

TEST_CASE("a name that is another's is not taken, and what an administrator ended stays ended", "[core][sessions]")
{
    World world;
    const auto machine = world.agent("srv-1");
    allow(world);
    world.agent("srv-1-bert");
    CHECK(join(world, machine, "bert", "1").error().code == Errc::conflict);
    REQUIRE(join(world, machine, "anna", "2"));
    AgentPatch patch;
    SECTION("revoked") { patch.revoked = true; }
    SECTION("frozen") { patch.frozen = true; }
    set(world, "srv-1-anna", patch);
    CHECK(join(world, machine, "anna", "3").error().code == Errc::denied);
}

TEST_CASE("root is no person, and a machine's agent that is decommissioned vouches for nobody", "[core][sessions]")
{
    World world;
    const auto machine = world.agent("srv-1");
    allow(world);
    CHECK(join(world, machine, "root").error().code == Errc::invalid);
    AgentPatch patch;
    SECTION("revoked") { patch.revoked = true; }
    SECTION("frozen") { patch.frozen = true; }
    SECTION("no longer approved") { patch.approved = false; }
    set(world, "srv-1", patch);
    CHECK(join(world, machine, "anna").error().code == Errc::denied);
}
