#include "tests/unit/agent/runs_world.h"

using namespace mill;
using namespace mill::test;
using World = RunsWorld;

TEST_CASE("a new broker is told of every run", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.broker = Channel();
    world.say_with_channel({"broker"}, world.broker);
    CHECK(world.from(world.broker)["open"]["key"] == Json(world.id.key()));
}

TEST_CASE("a repeatable attempt is killed when its lease runs out", "[runs]")
{
    World world;
    world.go();
    auto spec = world.spec();
    spec.repeatable = true;
    world.up_to_begin(std::move(spec));
    world.runs->post(agent::command::Lease{world.id, system_clock().steady() + 30ms});
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("agent_lost"));
}

TEST_CASE("after a restart of the agent a run that the keeper holds goes on from the last event", "[runs]")
{
    World world;
    world.go();  // the thread stands until recover was called: it waits for words
    world.thread.request_stop();
    world.thread.join();
    std::thread keeper([&] {
        CHECK(world.heard() == keeper::Words{"isolation"});
        CHECK(world.heard() == keeper::Words{"credentials"});
        CHECK(world.heard() == keeper::Words{"list"});
        world.say({"isolation", "1", "1", "cgroup-v2", "none", "7", "", "own", "kernel", "shared", "shared"});
        world.say({"credentials", "crm", "erp"});
        world.say_with_channel({"held", world.id.key()}, world.runner);
        world.say({"listed"});
    });
    agent::Remembered item{world.spec(), true, false, system_clock().steady(), 7, {}};
    const Status recovered = world.runs->recover({item}, 5s);
    keeper.join();
    REQUIRE(recovered);
    CHECK(world.runs->isolation()["landlock"] == Json(7));
    CHECK(world.runs->credentials() == std::vector<std::string>{"crm", "erp"});
    CHECK(world.from(world.runner)["resume"] == Json(7));
    world.thread = std::jthread([&](std::stop_token stop) { (void)world.runs->run(stop); });
    CHECK(world.heard() == keeper::Words{"broker"});
    world.tell(log_event(7));  // sent again: known
    CHECK(world.from(world.runner)["ack"] == Json(7));
    world.tell(done_event(8));
    CHECK(world.from(world.runner)["ack"] == Json(8));
    world.ended();
    REQUIRE(world.ledger.wait_released());
    REQUIRE(world.ledger.events().size() == 1);
}

TEST_CASE("what the process before had read and not written down is heard again, behind what lay in the channel", "[runs]")
{
    World world;
    agent::Remembered item{world.spec(), true, false, system_clock().steady(), 7, {}};
    world.say_with_channel({"held", world.id.key()}, world.runner);
    world.tell(log_event(9));  // 8 was read by the one that is gone; these two nobody read
    world.tell(log_event(10));
    world.say({"listed"});
    REQUIRE(world.runs->recover({item}, 5s));
    world.go();
    for (const char* word : {"isolation", "credentials", "list", "broker"}) CHECK(world.heard() == keeper::Words{word});
    CHECK(world.from(world.runner)["resume"] == Json(7));
    SECTION("all of it, once")
    {
        for (std::uint64_t sequence = 8; sequence <= 10; ++sequence) world.tell(log_event(sequence));
        world.tell(done_event(11));
        while (world.from(world.runner)["ack"] != Json(11)) {}
        world.ended();
        REQUIRE(world.ledger.wait_released());
        std::vector<std::uint64_t> sequences;
        for (const auto& event : world.ledger.events()) sequences.push_back(event.sequence);
        CHECK(sequences == std::vector<std::uint64_t>{8, 9, 10, 11});
        CHECK(world.ledger.events().back().body["state"] == Json("successful"));
    }
    SECTION("a gap behind that is the runner's own, and ends it")
    {
        world.tell(log_event(8));
        world.tell(log_event(10));
        CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
        world.ended("0", "9", "killed");
        REQUIRE(world.ledger.wait_released());
        CHECK(world.ledger.events().back().body["reason"] == Json("internal"));
    }
}

TEST_CASE("a repeatable attempt that was taken over is killed at its lease's end, too", "[runs]")
{
    World world;
    agent::Remembered item{world.spec(), true, false, system_clock().steady(), 7, system_clock().steady() + 50ms};
    item.spec.repeatable = true;
    world.say_with_channel({"held", world.id.key()}, world.runner);
    world.say({"listed"});
    REQUIRE(world.runs->recover({item}, 5s));
    world.go();
    for (const char* word : {"isolation", "credentials", "list", "broker"}) CHECK(world.heard() == keeper::Words{word});
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("agent_lost"));
}

TEST_CASE("after a restart of the agent what the keeper does not hold is settled", "[runs]")
{
    World world;
    agent::Remembered item{world.spec(), true, false, system_clock().steady(), 7, {}};
    SECTION("started: nobody knows how far it came")
    {
        world.say({"listed"});
        REQUIRE(world.runs->recover({item}, 5s));
        REQUIRE(world.ledger.events().size() == 1);
        CHECK(world.ledger.events()[0].sequence == 8);
        CHECK(world.ledger.events()[0].body["reason"] == Json("outcome_unknown"));
    }
    SECTION("taken and not started: it is given back, and a sandbox of it is killed")
    {
        item.started = false;
        item.last_sequence = 0;
        world.say_with_channel({"held", world.id.key()}, world.runner);
        world.say({"listed"});
        REQUIRE(world.runs->recover({item}, 5s));
        CHECK_FALSE(world.ledger.not_held_why().empty());
        CHECK(world.ledger.events().empty());
        CHECK(world.heard() == keeper::Words{"isolation"});
        CHECK(world.heard() == keeper::Words{"credentials"});
        CHECK(world.heard() == keeper::Words{"list"});
        CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    }
    SECTION("ended: only its end is left to be reported")
    {
        item.ended = true;
        world.say({"listed"});
        REQUIRE(world.runs->recover({item}, 5s));
        CHECK(world.ledger.events().empty());
        CHECK(world.ledger.wait_released());
    }
}

TEST_CASE("a stopping agent cancels what runs and gives back what was not begun", "[runs]")
{
    World world;
    world.go();
    SECTION("begun")
    {
        world.up_to_begin(world.spec());
        world.runs->post(agent::command::StopAll{"the agent stops", true});
        CHECK(world.from(world.runner)["cancel"]["why"] == Json("the agent stops"));
    }
    SECTION("not begun")
    {
        world.start(world.spec());
        world.runs->post(agent::command::StopAll{"the agent stops", true});
        CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
        world.say_with_channel({"started", world.id.key(), "n1"}, world.runner);
        world.ended("0", "9", "killed");
        REQUIRE(world.ledger.wait_released());
        CHECK(world.ledger.events().empty());
        CHECK(world.ledger.not_held_why() == "the agent stops");
    }
}
