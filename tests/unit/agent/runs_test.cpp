#include "tests/unit/agent/runs_world.h"

using namespace mill;
using namespace mill::test;
using World = RunsWorld;

TEST_CASE("a run goes from its start to its last event, each event recorded before it is acknowledged", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    CHECK(world.ledger.events()[0].sequence == 1);
    world.tell(log_event(2));
    CHECK(world.from(world.runner)["ack"] == Json(2));
    world.tell(done_event(3));
    CHECK(world.from(world.runner)["ack"] == Json(3));
    world.ended();
    CHECK(world.heard() == keeper::Words{"forget", world.id.key()});
    CHECK(world.ledger.wait_released());
    REQUIRE(world.ledger.events().size() == 3);
    CHECK(world.ledger.events()[2].body["output"] == Json(1));
    CHECK(world.from(world.broker)["close"]["key"] == Json(world.id.key()));
}

TEST_CASE("a runner that ends without a word ends its job as runner_lost, with how it ended", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.tell(log_event(2));
    world.ended("134", "6");
    REQUIRE(world.ledger.wait_released());
    REQUIRE(world.ledger.events().size() == 3);  // what it said before it died is kept
    CHECK(world.ledger.events()[2].sequence == 3);
    CHECK(world.ledger.events()[2].body["reason"] == Json("runner_lost"));
    CHECK(world.ledger.events()[2].body["evidence"]["signal"] == Json(6));
    CHECK(world.ledger.events()[2].body["evidence"]["said"] == Json("said on stderr"));
}

TEST_CASE("a runner that ends before it begins costs no job: another is started, once", "[runs]")
{
    World world;
    world.go();
    world.start(world.spec());
    world.say_with_channel({"broker"}, world.broker);
    world.say_with_channel({"started", world.id.key(), "n1"}, world.runner);
    world.ended("0", "9");
    CHECK(world.heard() == keeper::Words{"forget", world.id.key()});
    const keeper::Words again = world.heard();
    REQUIRE(again.size() == 3);
    CHECK(again[0] == "start");
    CHECK(again[1] == world.id.key());
    world.say_with_channel({"started", world.id.key(), "n2"}, world.runner);
    world.ended("0", "9");
    REQUIRE(world.ledger.wait_released());
    REQUIRE(world.ledger.events().size() == 1);
    CHECK(world.ledger.events()[0].body["reason"] == Json("runner_lost"));
}

TEST_CASE("a runner that ends after it was cancelled is not started again", "[runs]")
{
    World world;
    world.go();
    world.start(world.spec());
    world.say_with_channel({"started", world.id.key(), "n1"}, world.runner);
    world.runs->post(agent::command::Cancel{world.id, "anna", "enough"});
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    CHECK(world.heard() == keeper::Words{"forget", world.id.key()});
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("cancelled_by"));
}

TEST_CASE("behind a job's start the keeper is told to hold a runner ready for the same request", "[runs]")
{
    World world(2);
    world.go();
    world.up_to_begin(world.spec());
    const keeper::Words words = world.heard();
    REQUIRE(words.size() == 3);
    CHECK(words[0] == "warm");
    CHECK(keeper::decode_request(words[1])->package_path == "/packages/x.mwp");
    CHECK(words[2] == "1");
}

TEST_CASE("a runner that is not the one that was started is not given the job", "[runs]")
{
    World world;
    world.go();
    world.start(world.spec());
    world.say_with_channel({"broker"}, world.broker);
    world.say_with_channel({"started", world.id.key(), "n1"}, world.runner);
    world.to_runner_end(Json::object({{"ready", 1}, {"version", 1}, {"nonce", "n2"}}));
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    REQUIRE(world.ledger.events().size() == 1);
    CHECK(world.ledger.events()[0].body["reason"] == Json("internal"));
    CHECK_THAT(dump_json(world.ledger.events()[0].body), Catch::Contains("another runner"));
}

TEST_CASE("a runner that used up its memory ends its job as limit_memory", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.ended("0", "9", "memory");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("limit_memory"));
}

TEST_CASE("a job over its wall-clock limit is killed and ends as timeout", "[runs]")
{
    World world;
    world.go();
    auto spec = world.spec();
    spec.grants.limits.time = 50ms;
    world.up_to_begin(std::move(spec));
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("timeout"));
    CHECK(world.ledger.events().back().body["error"]["status"] == Json(408));
}

TEST_CASE("a job that does nothing for its idle limit ends as timeout; each event begins the time anew", "[runs]")
{
    World world;
    world.go();
    auto spec = world.spec();
    spec.grants.limits.idle = 400ms;
    world.up_to_begin(std::move(spec));
    for (std::uint64_t sequence = 2; sequence < 6; ++sequence) {
        (void)system_clock().sleep(200ms, {});
        world.to_runner_end(Json::object({{"event", to_json(protocol::Event{sequence, system_clock().now(), protocol::EventKind::log, Json::object({{"level", "info"}, {"text", "still here"}})})}}));
    }
    REQUIRE(world.ledger.until([](auto& l) { return l.events_.size() == 5; }));
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    const Json body = world.ledger.events().back().body;
    CHECK(body["reason"] == Json("timeout"));
    CHECK(body["evidence"]["limit"] == Json("idle"));
    CHECK_THAT(body["error"]["detail"].as_string() + body["evidence"]["why"].as_string(), Catch::Contains("limits: idle"));
}

TEST_CASE("the time limit of a run that somebody steps through stands still while it is paused", "[runs]")
{
    World world;
    world.go();
    auto spec = world.spec();
    spec.grants.limits.time = 300ms;
    spec.step = true;
    world.up_to_begin(std::move(spec));
    world.to_runner_end(Json::object({{"paused", Json::object({{"task", "/do/0/a"}})}}));
    REQUIRE(world.ledger.until([](auto& l) { return l.extras_.size() == 1; }));
    (void)system_clock().sleep(600ms, {});
    world.runs->post(agent::command::Say{world.id, Json::object({{"step", Json::object({{"do", "continue"}})}})});
    CHECK(world.from(world.runner)["step"]["do"] == Json("continue"));
    world.to_runner_end(Json::object({{"resumed", true}}));
    REQUIRE(world.ledger.until([](auto& l) { return l.extras_.size() == 2; }));
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});  // what was left of its time is over, too
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("timeout"));
}

TEST_CASE("a job is not stepped through", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.runs->post(agent::command::Say{world.id, Json::object({{"step", Json::object({{"do", "continue"}})}})});
    world.runs->post(agent::command::Cancel{world.id, "anna", "enough"});
    CHECK(world.from(world.runner).contains("cancel"));  // the first word that it hears
    world.tell(protocol::state_event(2, WallTime{2}, JobState::cancelled, Reason::cancelled_by));
    world.ended();
    REQUIRE(world.ledger.wait_released());
}

TEST_CASE("a cancel is said to the runner, which may end by itself", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.runs->post(agent::command::Cancel{world.id, "anna", "wrong order"});
    CHECK(world.from(world.runner)["cancel"]["by"] == Json("anna"));
    world.tell(protocol::state_event(2, WallTime{2}, JobState::cancelled, Reason::cancelled_by));
    CHECK(world.from(world.runner)["ack"] == Json(2));
    world.ended();
    REQUIRE(world.ledger.wait_released());
    REQUIRE(world.ledger.events().size() == 2);
    const Json stop = world.ledger.events()[1].body["evidence"]["stop"];   // each stage is told
    CHECK(stop["graceMs"] == Json(8000));
    CHECK(stop["answeredAfterMs"].is_integer());
    CHECK_FALSE(stop.contains("killedAfterMs"));
    CHECK(parse_time(stop["askedAt"].as_string()));
}

TEST_CASE("a cancel that the runner does not answer ends with the kill, and the evidence has both", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.runs->post(agent::command::Cancel{world.id, "anna", "wrong order"});
    CHECK(world.from(world.runner).contains("cancel"));
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});   // after eight seconds
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    const Json body = world.ledger.events().back().body;
    CHECK(body["state"] == Json("cancelled"));
    CHECK(body["evidence"]["by"] == Json("anna"));
    CHECK(body["evidence"]["stop"]["killedAfterMs"].as_integer() >= 8000);
    CHECK(body["evidence"]["stop"]["endedAfterMs"].is_integer());
}

TEST_CASE("a cancel before the runner was begun ends the job as cancelled and kills the sandbox", "[runs]")
{
    World world;
    world.go();
    world.start(world.spec());
    world.runs->post(agent::command::Cancel{world.id, "anna", "no"});
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.say_with_channel({"started", world.id.key(), "n1"}, world.runner);
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    REQUIRE(world.ledger.events().size() == 1);
    CHECK(world.ledger.events()[0].sequence == 1);
    CHECK(world.ledger.events()[0].body["state"] == Json("cancelled"));
    CHECK(world.ledger.events()[0].body["evidence"]["by"] == Json("anna"));
    CHECK(world.ledger.events()[0].body["evidence"]["stop"]["graceMs"] == Json(0));
}

TEST_CASE("a sandbox that the machine refuses ends the job as refused, a busy machine gives it back", "[runs]")
{
    World world;
    world.go();
    world.start(world.spec());
    SECTION("refused")
    {
        world.say({"refused", world.id.key(), "denied", "no user namespaces here"});
        REQUIRE(world.ledger.wait_released());
        CHECK(world.ledger.events()[0].body["reason"] == Json("refused"));
        CHECK_THAT(world.ledger.events()[0].body["error"]["detail"].as_string(), Catch::Contains("user namespaces"));
    }
    SECTION("given back")
    {
        world.say({"refused", world.id.key(), "unavailable", "too many processes"});
        REQUIRE(world.ledger.wait_released());
        CHECK(world.ledger.events().empty());
        CHECK_THAT(world.ledger.not_held_why(), Catch::Contains("too many processes"));
    }
}

TEST_CASE("a runner that breaks its contract is killed", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    SECTION("by a hole in its events") { world.tell(log_event(4)); }
    SECTION("by what is no JSON") { REQUIRE(world.runner.send("{nonsense")); }
    SECTION("by standing still although nobody steps through a job") { world.to_runner_end(Json::object({{"paused", Json::object({{"task", "/do/0/a"}})}})); }
    SECTION("by speaking of a test that nobody asked for") { world.to_runner_end(Json::object({{"rehearsed", Json::object()}})); }
    SECTION("by an unknown word") { world.to_runner_end(Json::object({{"sudo", true}})); }
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    CHECK(world.ledger.events().back().body["reason"] == Json("internal"));
    CHECK_THAT(world.ledger.events().back().body["error"]["detail"].as_string(), Catch::Contains("contract"));
}

TEST_CASE("events beyond the quota become counted gaps, the final one is kept", "[runs]")
{
    World world;
    world.go();
    auto spec = world.spec();
    spec.quota = ByteCount{1};
    world.up_to_begin(std::move(spec));
    world.tell(log_event(2));
    world.tell(done_event(3));
    REQUIRE(world.ledger.until([](auto& l) { return l.events_.size() == 3; }));
    CHECK(world.ledger.events()[1].kind == EventKind::gap);
    CHECK(world.ledger.events()[1].body["lost"] == Json(1));
    CHECK(world.ledger.events()[2].body["output"] == Json(1));
}

TEST_CASE("secrets of a job's credentials are masked before its events are recorded", "[runs]")
{
    World world;
    world.go();
    auto spec = world.spec();
    spec.credentials = Json::object({{"erp", Json::object({{"username", "anna"}, {"password", "hunter2"}})}});
    world.up_to_begin(std::move(spec));
    world.tell({2, WallTime{1}, EventKind::log, Json::object({{"level", "info"}, {"text", "starts /bin/login --user anna --pass hunter2"}})});
    world.tell(done_event(3));
    REQUIRE(world.ledger.until([](auto& l) { return l.events_.size() == 3; }));
    CHECK(world.ledger.events()[1].body["text"].as_string() == "starts /bin/login --user anna --pass ***");
}

TEST_CASE("while the disk is full nothing is acknowledged, afterwards all of it arrives", "[runs]")
{
    World world;
    world.go();
    world.up_to_begin(world.spec());
    world.ledger.set_full(true);
    world.tell(log_event(2));
    world.tell(log_event(3));
    CHECK_FALSE(*world.runner.receive(300ms));
    world.ledger.set_full(false);
    Json ack = world.from(world.runner);
    if (ack["ack"] == Json(2)) ack = world.from(world.runner);
    CHECK(ack["ack"] == Json(3));
}

TEST_CASE("a runner that asks and never reads is ended, and holds up nobody meanwhile", "[runs]")
{
    RunsWorld world;
    world.go();
    auto given = world.spec();
    given.grants.read_metrics = {"*"};
    world.up_to_begin(std::move(given));
    const std::string read = dump_json(Json::object({{"read", Json::object({{"id", 1}, {"metric", Json::object({{"name", "x"}})}})}}));
    for (int i = 0; i < 20'000; ++i)
        if (!world.runner.send(read, nullptr, {}, 1s)) break;
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9", "killed");
    REQUIRE(world.ledger.wait_released());
    CHECK_THAT(dump_json(world.ledger.events().back().body), Catch::Contains("does not read"));
}

TEST_CASE("a stop reaches the keeper while a runner does not read", "[runs]")
{
    RunsWorld world;
    world.go();
    auto given = world.spec();
    given.grants.read_metrics = {"*"};
    world.up_to_begin(std::move(given));
    const std::string read = dump_json(Json::object({{"read", Json::object({{"id", 1}, {"metric", Json::object({{"name", "x"}})}})}}));
    for (int i = 0; i < 600; ++i)   // more than its channel holds
        if (!world.runner.send(read, nullptr, {}, 1s)) break;
    const auto before = std::chrono::steady_clock::now();
    world.runs->post(agent::command::Drop{world.id, "somebody else's"});
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    CHECK(std::chrono::steady_clock::now() - before < 5s);
}

TEST_CASE("what is larger than a runner's channel reaches it whole", "[runs]")
{
    RunsWorld world;
    world.go();
    auto given = world.spec();
    given.input.set("text", std::string(5'000'000, 'x'));
    world.up_to_begin(std::move(given));
    world.tell(log_event(2));
    CHECK(world.from(world.runner)["ack"] == Json(2));
}

TEST_CASE("who must not wait is told that too many commands do", "[runs]")
{
    RunsWorld world;   // nobody takes them
    int taken = 0;
    while (taken < 100'000 && world.runs->try_post(agent::command::Flush{})) ++taken;
    CHECK(taken == 65'536);
}
