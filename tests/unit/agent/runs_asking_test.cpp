#include "tests/unit/agent/runs_world.h"

using namespace mill;
using namespace mill::test;
using World = RunsWorld;

namespace {

Event waiting_event(std::uint64_t sequence) { return protocol::state_event(sequence, WallTime{1}, JobState::waiting, {}, Json()); }
Json ask(const std::string& question) { return Json::object({{"ask", Json::object({{"question", question}, {"kind", "ask"}, {"text", "How many?"}, {"withinMs", 60000}})}}); }
Json waits(std::uint64_t after, Json snapshot) { return Json::object({{"waits", Json::object({{"waitedMs", 0}, {"after", after}, {"snapshot", std::move(snapshot)}})}}); }
Json answered(const std::string& question) { return Json::object({{"question", question}, {"state", "answered"}, {"answer", 7}}); }

/// Up to a run that waits, and of which that is on the disk.
struct Waiting : World {
    explicit Waiting(Milliseconds time = Milliseconds(600'000))
    {
        go();
        auto given = spec();
        given.asks = "factory";
        given.grants.limits.time = time;
        up_to_begin(std::move(given));
        to_runner_end(ask("q-1"));
        tell(waiting_event(2));
        CHECK(from(runner)["ack"] == Json(2));
        to_runner_end(waits(2, Json::object({{"run", Json::object({{"version", 1}})}})));
        REQUIRE(ledger.until([](auto& l) { return l.kept_.is_object(); }));
        const auto words = heard();
        REQUIRE(words.size() == 3);
        CHECK(words[0] == "time");
        CHECK(std::stoll(words[2]) > 30'000'000);
    }
};

}  // namespace

TEST_CASE("what a run asks goes on, its time stands still, and an answer makes what was kept void before it is given", "[runs][asking]")
{
    Waiting world(Milliseconds(700));
    CHECK(world.ledger.asked_.at(0)["question"] == Json("q-1"));
    CHECK(world.ledger.waits_);
    CHECK(world.ledger.kept_after_ == 2);
    CHECK(world.ledger.kept_["ranMs"].as_integer() >= 0);
    std::this_thread::sleep_for(900ms);   // longer than its limit
    CHECK(world.ledger.events().size() == 2);
    world.runs->post(agent::command::Answered{world.id, answered("q-1")});
    CHECK(world.from(world.runner)["answered"]["answer"] == Json(7));
    REQUIRE(world.ledger.until([](auto& l) { return l.heard_ == std::vector<std::string>{"q-1"}; }));
    CHECK(world.ledger.kept_.is_null());
    world.to_runner_end(Json::object({{"goes", Json::object({{"waitedMs", 900}})}}));
    const auto words = world.heard();
    CHECK(words[0] == "time");
    CHECK(std::stoll(words[2]) <= 700);
    REQUIRE(world.ledger.until([](auto& l) { return !l.waits_; }));
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});   // and now its time is over
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("timeout"));
}

TEST_CASE("an answer that could not be told apart after a restart is not given", "[runs][asking]")
{
    Waiting world;
    world.ledger.set_full(true);
    world.runs->post(agent::command::Answered{world.id, answered("q-1")});
    const auto none = world.runner.receive(300ms);
    CHECK((none && !*none));
    CHECK(world.ledger.heard_.empty());
    world.ledger.set_full(false);
    world.runs->post(agent::command::Answered{world.id, answered("q-1")});   // the factory says it again
    CHECK(world.from(world.runner)["answered"]["answer"] == Json(7));
}

TEST_CASE("an answer that nobody waits for is heard, and changes nothing", "[runs][asking]")
{
    Waiting world;
    world.runs->post(agent::command::Answered{world.id, answered("q-other")});
    world.runs->post(agent::command::Answered{{"another", 1, 1}, answered("q-third")});
    REQUIRE(world.ledger.until([](auto& l) { return l.heard_.size() == 2; }));
    CHECK(world.ledger.kept_.is_object());
}

TEST_CASE("a run that wants to go on by itself does so when nothing is kept of it any more", "[runs][asking]")
{
    Waiting world;
    world.to_runner_end(Json::object({{"leave", true}}));
    CHECK(world.from(world.runner)["go"] == Json(true));
    CHECK(world.ledger.kept_.is_null());
}

TEST_CASE("an agent that stops leaves a waiting run as it is; nothing of it has ended", "[runs][asking]")
{
    Waiting world;
    world.runs->post(agent::command::StopAll{"the agent is stopping", true});
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().size() == 2);
    CHECK(world.ledger.kept_.is_object());
}

TEST_CASE("an agent that stops waits for what a run that just asked would go on from, and cancels it when nothing comes", "[runs][asking]")
{
    World world;
    world.go();
    auto given = world.spec();
    given.asks = "factory";
    world.up_to_begin(std::move(given));
    world.to_runner_end(ask("q-1"));
    world.tell(waiting_event(2));
    CHECK(world.from(world.runner)["ack"] == Json(2));
    world.runs->post(agent::command::StopAll{"the agent is stopping", true});
    SECTION("it comes")
    {
        const auto none = world.runner.receive(300ms);
        CHECK((none && !*none));   // no cancel
        world.to_runner_end(waits(2, Json::object({{"run", Json::object({{"version", 1}})}})));
        REQUIRE(world.ledger.wait_released());
        CHECK(world.ledger.events().size() == 2);
        CHECK(world.ledger.kept_.is_object());
    }
    SECTION("nothing comes") { CHECK(world.from(world.runner)["cancel"]["why"] == Json("the agent is stopping")); }
}

TEST_CASE("after a restart of the machine a waiting run goes on in a new runner, from its next event on", "[runs][asking]")
{
    World world;
    std::thread keeper([&] {
        CHECK(world.heard() == keeper::Words{"isolation"});
        CHECK(world.heard() == keeper::Words{"credentials"});
        CHECK(world.heard() == keeper::Words{"list"});
        world.say({"listed"});
    });
    auto spec = world.spec();
    spec.asks = "factory";
    spec.snapshot = Json::object({{"run", Json::object({{"version", 1}})}, {"ranMs", 10}, {"waitedMs", 20}});
    spec.last_sequence = 7;
    agent::Remembered item{spec, true, false, system_clock().steady(), 7, {}};
    const Status recovered = world.runs->recover({item}, 5s);
    keeper.join();
    REQUIRE(recovered);
    CHECK(world.ledger.events().empty());
    world.go();
    SECTION("its package is there")
    {
        world.runs->post(agent::command::Start{spec, std::nullopt});
        CHECK(world.heard() == keeper::Words{"broker"});
        CHECK(world.heard()[0] == "start");
        world.say_with_channel({"broker"}, world.broker);
        world.say_with_channel({"started", world.id.key(), "n1"}, world.runner);
        CHECK(world.from(world.broker)["open"]["key"] == Json(world.id.key()));
        REQUIRE(world.broker.send(dump_json(Json::object({{"opened", Json::object({{"key", world.id.key()}})}}))));
        world.to_runner_end(Json::object({{"ready", 1}, {"version", 1}, {"nonce", "n1"}}));
        const Json begin = world.from(world.runner)["begin"];
        CHECK(begin["firstSequence"] == Json(8));
        CHECK(begin["input"].is_null());
        CHECK(begin["snapshot"]["run"]["version"] == Json(1));
        CHECK(world.ledger.events().empty());   // it does not start twice
        CHECK_FALSE(world.ledger.waits_);        // its slot is its own until it says that it waits
        world.to_runner_end(Json::object({{"leave", true}}));   // a timer of it was due before it could say so
        CHECK(world.from(world.runner)["go"] == Json(true));
        world.tell(log_event(8));
        CHECK(world.from(world.runner)["ack"] == Json(8));
    }
    SECTION("its package cannot be had: it says honestly that nobody knows")
    {
        world.runs->post(agent::command::GiveBack{world.id, "the disk is gone"});
        REQUIRE(world.ledger.wait_released());
        REQUIRE(world.ledger.events().size() == 1);
        CHECK(world.ledger.events()[0].sequence == 8);
        CHECK(world.ledger.events()[0].body["reason"] == Json("outcome_unknown"));
    }
}

namespace {

/// Up to a run that works and may ask.
struct Asker : World {
    explicit Asker(Milliseconds time = Milliseconds(600'000))
    {
        go();
        auto given = spec();
        given.asks = "factory";
        given.grants.limits.time = time;
        up_to_begin(std::move(given));
    }
    void killed_as(const char* reason, const std::string& why)
    {
        CHECK(heard() == keeper::Words{"kill", id.key()});
        ended("0", "9", "killed");
        REQUIRE(ledger.wait_released());
        const Json body = ledger.events().back().body;
        CHECK(body["reason"] == Json(reason));
        CHECK_THAT(dump_json(body), Catch::Contains(why));
    }
};

}  // namespace

TEST_CASE("a run that asks nobody does not wait: its time goes on", "[runs][asking]")
{
    Asker world(Milliseconds(700));
    SECTION("it asked nothing") {}
    SECTION("it withdrew what it asked")
    {
        world.to_runner_end(ask("q-1"));
        world.to_runner_end(Json::object({{"unask", Json::object({{"question", "q-1"}, {"why", "x"}})}}));
    }
    world.to_runner_end(waits(1, Json::object({{"run", Json::object({})}})));
    world.killed_as("timeout", "700ms");
    CHECK_FALSE(world.ledger.waits_);
    CHECK(world.ledger.kept_.is_null());
}

TEST_CASE("a run that was answered, or works, waits no more, whatever it says", "[runs][asking]")
{
    Waiting world(Milliseconds(900));
    SECTION("an answer")
    {
        world.runs->post(agent::command::Answered{world.id, answered("q-1")});
        CHECK(world.from(world.runner).contains("answered"));
    }
    SECTION("a step")
    {
        world.tell({3, WallTime{1}, EventKind::step, Json::object({{"task", "/do/1/x"}, {"name", "x"}, {"type", "set"}, {"state", "started"}})});
    }
    SECTION("it took its question back") { world.to_runner_end(Json::object({{"unask", Json::object({{"question", "q-1"}, {"why", "x"}})}})); }
    SECTION("a timer of its own")
    {
        world.to_runner_end(Json::object({{"leave", true}}));
        CHECK(world.from(world.runner)["go"] == Json(true));
    }
    SECTION("it says so, and how long it has waited counts on our clock") { world.to_runner_end(Json::object({{"goes", Json::object({{"waitedMs", 9'000'000'000'000'000'000}})}})); }
    const auto words = world.heard();
    REQUIRE(words[0] == "time");
    CHECK(std::stoll(words[2]) <= 900);
    REQUIRE(world.ledger.until([](auto& l) { return !l.waits_; }));
    world.to_runner_end(Json::object({{"goes", Json::object({{"waitedMs", 600'000}})}}));   // nothing any more
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
}

TEST_CASE("a line in its log leaves a waiting run waiting", "[runs][asking]")
{
    Waiting world;
    world.tell(log_event(3));
    while (world.from(world.runner)["ack"] != Json(3)) {}
    CHECK(world.ledger.waits_);
    SECTION("an agent that stops then does not leave it with what was kept before: a restart could not go on from that")
    {
        world.runs->post(agent::command::StopAll{"the agent is stopping", true});
        world.to_runner_end(waits(3, Json::object({{"run", Json::object({{"version", 2}})}})));
        REQUIRE(world.ledger.wait_released());
        CHECK(world.ledger.kept_["run"]["version"] == Json(2));
    }
}

TEST_CASE("a run that waits for nobody is not let go", "[runs][asking]")
{
    Asker world;
    world.to_runner_end(Json::object({{"leave", true}}));
    const auto none = world.runner.receive(300ms);
    CHECK((none && !*none));
}

TEST_CASE("an agent that lets its jobs finish leaves what waits for a person, and what begins to wait meanwhile", "[runs][asking]")
{
    SECTION("it waits")
    {
        Waiting world;
        world.runs->post(agent::command::StopAll{"the agent is stopping", false});
        REQUIRE(world.ledger.wait_released());
        CHECK(world.ledger.events().size() == 2);
        CHECK(world.ledger.kept_.is_object());
    }
    SECTION("it works, and asks then")
    {
        Asker world;
        world.runs->post(agent::command::StopAll{"the agent is stopping", false});
        const auto none = world.runner.receive(300ms);
        CHECK((none && !*none));
        world.to_runner_end(ask("q-2"));
        world.tell(waiting_event(2));
        world.to_runner_end(waits(2, Json::object({{"run", Json::object({{"version", 1}})}})));
        REQUIRE(world.ledger.wait_released());
        CHECK(world.ledger.kept_.is_object());
    }
}

TEST_CASE("what a run goes on from is written now and then, and at the agent's stop", "[runs][asking]")
{
    Waiting world;
    world.to_runner_end(waits(2, Json::object({{"run", Json::object({{"version", 2}})}})));
    std::this_thread::sleep_for(400ms);
    CHECK(world.ledger.kept_["run"]["version"] == Json(1));
    world.runs->post(agent::command::StopAll{"the agent is stopping", true});
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.kept_["run"]["version"] == Json(2));
    CHECK(world.ledger.kept_["waitedMs"] == Json(0));
}

TEST_CASE("what a run asks has bounds on the agent, too", "[runs][asking]")
{
    Asker world;
    std::string why;
    SECTION("the name")
    {
        why = "without a name";
        world.to_runner_end(ask(GENERATE("", "../x", "a question")));
    }
    SECTION("a long name")
    {
        why = "without a name";
        world.to_runner_end(ask(std::string(65, 'q')));
    }
    SECTION("the size")
    {
        why = "bytes";
        Json large = ask("q-1")["ask"];
        world.to_runner_end(Json::object({{"ask", large.set("text", std::string(128 * 1024, 'x'))}}));
    }
    SECTION("how many are open")
    {
        why = "more than 100";
        for (int i = 0; i <= 100; ++i) world.to_runner_end(ask("q-" + std::to_string(i)));
    }
    world.killed_as("internal", why);
    CHECK(world.ledger.asked_.size() == (why == "more than 100" ? 100 : 0));
}
