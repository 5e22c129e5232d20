// A run whose credentials the factory seals: the test plays factory, keeper, broker and runner.
#include "platform/base/encode.h"
#include "tests/unit/agent/runs_world.h"

using namespace mill;
using namespace mill::test;

namespace {

const std::string kBrokerKey(32, 'k'), kNextKey(32, 'n');

struct SealedRuns : RunsWorld {
    SealedRuns() { go(); }
    RunSpec sealed_spec() const
    {
        RunSpec out = spec();
        out.sealed = {"erp"};
        out.attempt_token = "mw_attempt_1";
        return out;
    }
    void new_broker(const std::string& key)
    {
        say_with_channel({"broker"}, broker);
        say_key(key);
    }
    void say_key(const std::string& key, Json open = Json::object())
    {
        REQUIRE(broker.send(dump_json(Json::object({{"sealingKey", to_base64(key)}, {"open", std::move(open)}}))));
    }
    agent::SealRequest asked()
    {
        auto request = seals.receive_for(10s);
        REQUIRE(request);
        CHECK(request->id == id);
        CHECK(request->names == std::vector<std::string>{"erp"});
        CHECK(request->attempt_token == "mw_attempt_1");
        return *request;
    }
    void answer(const std::string& key, Result<agent::SealedBox> box) { runs->post(agent::command::Sealed{id, key, std::move(box)}); }
    void answer(const std::string& key, const std::string& box) { answer(key, agent::SealedBox{key, "agent-1", box}); }
    void opened(Json more = Json::object()) { REQUIRE(broker.send(dump_json(Json::object({{"opened", more.set("key", id.key())}})))); }
    void ready() { to_runner_end(Json::object({{"ready", 1}, {"version", 1}, {"nonce", "n1"}})); }
    /// Up to `begin`, with `reveal` of what the broker answers.
    void begun(Json opened_more = Json::object())
    {
        start(sealed_spec());
        new_broker(kBrokerKey);
        say_with_channel({"started", id.key(), "n1"}, runner);
        CHECK(asked().broker_key == kBrokerKey);
        answer(kBrokerKey, "Ym94");
        CHECK(from(broker)["open"]["sealed"] == Json::object({{"to", to_base64(kBrokerKey)}, {"agent", "agent-1"}, {"box", "Ym94"}}));
        opened(std::move(opened_more));
        ready();
        CHECK(from(runner).contains("begin"));
    }
};

}  // namespace

TEST_CASE("a job's credentials are asked for when the broker's key is known, and handed on in their box", "[runs][sealed]")
{
    SealedRuns world;
    world.start(world.sealed_spec());
    world.say_with_channel({"broker"}, world.broker);
    world.say_with_channel({"started", world.id.key(), "n1"}, world.runner);
    world.ready();
    CHECK_FALSE(world.seals.receive_for(100ms));
    world.say_key(kBrokerKey);
    CHECK(world.asked().broker_key == kBrokerKey);
    CHECK_FALSE(*world.broker.receive(100ms));  // not opened without them
    world.answer(kBrokerKey, "Ym94");
    const Json open = world.from(world.broker)["open"];
    CHECK(open["sealed"]["box"] == Json("Ym94"));
    CHECK(open["credentials"] == Json::object());
    CHECK_FALSE(*world.runner.receive(100ms));
    world.opened();
    CHECK(world.from(world.runner).contains("begin"));
}

TEST_CASE("what the factory will not seal fails the job before it starts, with its words", "[runs][sealed]")
{
    SealedRuns world;
    world.start(world.sealed_spec());
    world.new_broker(kBrokerKey);
    world.say_with_channel({"started", world.id.key(), "n1"}, world.runner);
    (void)world.asked();
    world.answer(kBrokerKey, fail(Errc::denied, "credentials: credential 'erp-prod' expired"));
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9");
    REQUIRE(world.ledger.wait_released());
    const auto events = world.ledger.events();
    REQUIRE(events.size() == 1);
    CHECK(events[0].body["reason"] == Json("refused"));
    CHECK_THAT(events[0].body["error"]["detail"].as_string(), Catch::Contains("credential 'erp-prod' expired"));
}

TEST_CASE("while the factory is not reachable the box is asked for again; an attempt that is over is given back", "[runs][sealed]")
{
    SealedRuns world;
    world.start(world.sealed_spec());
    world.new_broker(kBrokerKey);
    world.say_with_channel({"started", world.id.key(), "n1"}, world.runner);
    (void)world.asked();
    world.answer(kBrokerKey, fail(Errc::unavailable, "no route"));
    (void)world.asked();
    world.answer(kBrokerKey, fail(Errc::not_found, "the attempt has ended"));
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9");
    REQUIRE(world.ledger.wait_released());
    CHECK_THAT(world.ledger.not_held_why(), Catch::Contains("has ended"));
    CHECK(world.ledger.events().empty());
}

TEST_CASE("what the broker cannot open fails the job that was not begun", "[runs][sealed]")
{
    SealedRuns world;
    world.start(world.sealed_spec());
    world.new_broker(kBrokerKey);
    world.say_with_channel({"started", world.id.key(), "n1"}, world.runner);
    (void)world.asked();
    world.answer(kBrokerKey, "Ym94");
    (void)world.from(world.broker);
    world.opened(Json::object({{"error", "the sealed credentials do not open"}}));
    CHECK(world.heard() == keeper::Words{"kill", world.id.key()});
    world.ended("0", "9");
    REQUIRE(world.ledger.wait_released());
    CHECK_THAT(world.ledger.events().front().body["error"]["detail"].as_string(), Catch::Contains("do not open"));
}

TEST_CASE("a new broker has a new key: the credentials are asked for anew, an answer for the old one is let go", "[runs][sealed]")
{
    SealedRuns world;
    world.begun();
    world.broker = Channel();
    world.new_broker(kNextKey);
    CHECK(world.asked().broker_key == kNextKey);
    world.answer(kBrokerKey, "b2xk");
    CHECK_FALSE(*world.broker.receive(100ms));
    world.answer(kNextKey, "bmV3");
    const Json open = world.from(world.broker)["open"];
    CHECK(open["sealed"] == Json::object({{"to", to_base64(kNextKey)}, {"agent", "agent-1"}, {"box", "bmV3"}}));
    world.opened();
    world.tell(done_event(2));
    REQUIRE(world.ledger.until([](auto& l) { return l.events_.size() == 2; }));
}

TEST_CASE("a job that runs goes on when its credentials are refused to a new broker, which is told why", "[runs][sealed]")
{
    SealedRuns world;
    world.begun();
    world.broker = Channel();
    world.new_broker(kNextKey);
    (void)world.asked();
    world.answer(kNextKey, fail(Errc::denied, "credential 'erp-prod' expired"));
    const Json open = world.from(world.broker)["open"];
    CHECK(open["missing"] == Json("credential 'erp-prod' expired"));
    CHECK_FALSE(open.contains("sealed"));
    world.opened();
    world.tell(done_event(2));
    REQUIRE(world.ledger.until([](auto& l) { return l.events_.size() == 2; }));
    CHECK(world.ledger.events().back().body["state"] == Json("successful"));
}

TEST_CASE("a broker that has the credentials of an attempt keeps them when they are refused now", "[runs][sealed]")
{
    SealedRuns world;
    world.begun();
    world.say_with_channel({"broker"}, world.broker);  // a channel of the same one
    world.say_key(kBrokerKey, Json::object({{world.id.key(), Json::object({{"reveal", Json::array({"hunter2-long"})}})}}));
    (void)world.asked();
    world.answer(kBrokerKey, fail(Errc::denied, "credential 'erp-prod' expired"));
    CHECK_FALSE(*world.broker.receive(300ms));
    world.tell({2, WallTime{1}, EventKind::log, Json::object({{"level", "info"}, {"text", "pass hunter2-long"}})});
    REQUIRE(world.ledger.until([](auto& l) { return l.events_.size() == 2; }));
    CHECK(world.ledger.events()[1].body["text"].as_string() == "pass ***");  // what an agent that died had learned is learned anew
}

TEST_CASE("what a broker cannot open for a job that runs is told it once, unless it has the credentials from before", "[runs][sealed]")
{
    SealedRuns world;
    world.begun();
    const bool held = GENERATE(false, true);
    world.say_with_channel({"broker"}, world.broker);
    world.say_key(kNextKey, held ? Json::object({{world.id.key(), Json::object()}}) : Json::object());
    (void)world.asked();
    world.answer(kNextKey, "Ym94");
    CHECK(world.from(world.broker)["open"].contains("sealed"));
    world.opened(Json::object({{"error", "credential 'erp-prod', which the agent's machine is to hold: gone"}}));
    if (!held) CHECK_THAT(world.from(world.broker)["open"]["missing"].as_string(), Catch::Contains("is to hold: gone"));
    world.opened(Json::object({{"error", "again"}}));
    CHECK_FALSE(*world.broker.receive(200ms));
    world.tell(done_event(2));
    REQUIRE(world.ledger.until([](auto& l) { return l.events_.size() == 2; }));
    CHECK(world.ledger.events().back().body["state"] == Json("successful"));
}

TEST_CASE("what a job may have in plain is masked in its events", "[runs][sealed]")
{
    SealedRuns world;
    world.begun(Json::object({{"reveal", Json::array({"hunter2-long"})}}));
    world.tell({2, WallTime{1}, EventKind::log, Json::object({{"level", "info"}, {"text", "pass hunter2-long"}})});
    REQUIRE(world.ledger.until([](auto& l) { return l.events_.size() == 2; }));
    CHECK(world.ledger.events()[1].body["text"].as_string() == "pass ***");
    SECTION("also where its end quotes what its runner said") { REQUIRE(world.runner.send(R"({"ready":1,"text":"hunter2-long"}more)")); }
    SECTION("or wrote before it fell") {}
    world.say({"ended", world.id.key(), "1", "0", "", "12", "4096", "no such user: hunter2-long"});
    REQUIRE(world.ledger.until([](auto& l) { return l.events_.size() == 3; }));
    CHECK(dump_json(world.ledger.events()[2].body).find("hunter2") == std::string::npos);
}
