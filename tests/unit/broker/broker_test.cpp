// The real program over its channels, with the test as keeper, agent and runner.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "agent/keeper/messages.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/channel.h"
#include "platform/process.h"
#include "tests/unit/broker/temp_folder.h"

using namespace mill;
using platform::Channel;

namespace {

struct Bench {
    Channel keeper;
    std::unique_ptr<platform::Process> process;

    Bench()
    {
        const char* bin = std::getenv("MILL_BIN");
        REQUIRE(bin != nullptr);
        auto pair = Channel::pair();
        REQUIRE(pair);
        keeper = std::move(pair->first);
        const platform::Handle end = std::move(pair->second).take_handle();
        platform::ProcessSpec spec;
        spec.program = std::string(bin) + "/millwright-broker";
        spec.handles = {{3, &end}};
        auto started = platform::start_process(spec);
        REQUIRE(started);
        process = std::move(*started);
    }
    Channel give(keeper::Words words)
    {
        auto pair = Channel::pair();
        REQUIRE(pair);
        const platform::Handle end = std::move(pair->second).take_handle();
        REQUIRE(keeper.send(keeper::encode(words), &end));
        return std::move(pair->first);
    }
    static Json hear(Channel& channel)
    {
        auto message = channel.receive(Milliseconds(20'000));
        REQUIRE(message);
        REQUIRE(*message);
        return *parse_json((*message)->text);
    }
};

Json opening(std::string key, Json grants) { return Json::object({{"open", Json::object({{"key", key}, {"grants", std::move(grants)}, {"credentials", Json::object()}})}}); }

}  // namespace

TEST_CASE("two attempts have their own grants and nothing of each other's", "[broker][program]")
{
    Bench bench;
    Channel agent = bench.give({"agent"});
    Channel first = bench.give({"attach", "a.1.1"}), second = bench.give({"attach", "b.1.1"});
    REQUIRE(agent.send(dump_json(opening("a.1.1", Json::object({{"commands", Json::array({"sh"})}})))));
    CHECK(Bench::hear(agent)["opened"]["key"].as_string() == "a.1.1");
    REQUIRE(agent.send(dump_json(opening("b.1.1", Json::object()))));
    CHECK(Bench::hear(agent)["opened"]["key"].as_string() == "b.1.1");
    const std::string call = R"({"id":1,"effect":"command.start","with":{"path":"sh"}})";
    REQUIRE(first.send(call));
    REQUIRE(second.send(call));
    CHECK(Bench::hear(first).contains("result"));
    CHECK(Bench::hear(second)["error"]["status"].as_integer() == 403);
}

TEST_CASE("an attempt handed to a new broker hears of the reset, and goes on after it is opened again", "[broker][program]")
{
    Bench bench;
    Channel agent = bench.give({"agent"});
    Channel runner = bench.give({"attach", "a.1.1", "again"});
    CHECK(Bench::hear(runner)["reset"].as_bool());
    REQUIRE(runner.send(R"({"id":1,"effect":"command.start","with":{"path":"sh"}})"));
    REQUIRE(agent.send(dump_json(opening("a.1.1", Json::object({{"commands", Json::array({"sh"})}})))));
    CHECK(Bench::hear(agent).contains("opened"));
    CHECK(Bench::hear(runner).contains("result"));
}

TEST_CASE("grants that are wrong open nothing, and the answer says why", "[broker][program]")
{
    Bench bench;
    Channel agent = bench.give({"agent"});
    REQUIRE(agent.send(dump_json(opening("a.1.1", Json::object({{"files", Json::object({{"read", Json::array({"relative"})}})}})))));
    CHECK_THAT(Bench::hear(agent)["opened"]["error"].as_string(), Catch::Contains("relative"));
}

TEST_CASE("a new agent takes the place of the old one, and the attempts stay", "[broker][program]")
{
    Bench bench;
    Channel runner = bench.give({"attach", "a.1.1"});
    {
        Channel agent = bench.give({"agent"});
        REQUIRE(agent.send(dump_json(opening("a.1.1", Json::object({{"commands", Json::array({"sh"})}})))));
        CHECK(Bench::hear(agent).contains("opened"));
    }
    Channel agent = bench.give({"agent"});
    REQUIRE(runner.send(R"({"id":1,"effect":"command.start","with":{"path":"sh"}})"));
    CHECK(Bench::hear(runner).contains("result"));
    REQUIRE(agent.send(R"({"close":{"key":"a.1.1"}})"));
    REQUIRE(agent.send(dump_json(opening("b.1.1", Json::object()))));
    CHECK(Bench::hear(agent).contains("opened"));
    REQUIRE(runner.send(R"({"id":2,"effect":"command.start","with":{"path":"sh"},"timeoutMs":50})"));
    CHECK(Bench::hear(runner)["error"]["type"].as_string() == "timeout");
}

TEST_CASE("it ends when the keeper is gone", "[broker][program]")
{
    Bench bench;
    Channel agent = bench.give({"agent"});
    bench.keeper = {};
    const auto ended = bench.process->wait(Milliseconds(20'000));
    REQUIRE(ended);
    CHECK(ended->exit_code == 0);
}
