// The real program over its channels, with the test as keeper, agent and runner.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent/broker/sealed.h"
#include "agent/keeper/messages.h"
#include "platform/base/clock.h"
#include "platform/base/encode.h"
#include "platform/base/json.h"
#include "platform/channel.h"
#include "platform/folder.h"
#include "platform/process.h"
#include "protocol/sealed.h"
#include "tests/unit/broker/loopback_server.h"
#include "tests/unit/broker/temp_folder.h"

using namespace mill;
using platform::Channel;

namespace {

struct Bench {
    Channel keeper;
    std::unique_ptr<platform::Process> process;
    std::string key;
    Json open;  // attempts that the broker has opened, as it told the last agent

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
        spec.environment = {{"ASAN_OPTIONS", "detect_leaks=0"}};  // its filter refuses the ptrace that the search needs
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
    /// A new agent's channel; the first that the broker says on it is its key.
    Channel agent()
    {
        Channel channel = give({"agent"});
        const Json greeting = hear(channel);
        key = *from_base64(greeting["sealingKey"].as_string());
        open = greeting["open"];
        return channel;
    }
    static Json hear(Channel& channel)
    {
        auto message = channel.receive(Milliseconds(20'000));
        REQUIRE(message);
        REQUIRE(*message);
        return *parse_json((*message)->text);
    }
};

/// What the agent says of an attempt whose credentials the factory sealed to `key` for `sealed_for`.
Json opening_sealed(const std::string& key, const std::string& attempt, const std::string& sealed_for, Json grants)
{
    const Json values = Json::object({{"erp", Json::object({{"kind", "bearer"}, {"token", "t0ken-of-erp"}, {"hosts", Json::array()}})}});
    const auto box = platform::seal_to(key, protocol::boxed_text({values, Json::object()}), protocol::kSealedInfo, protocol::sealed_context("agent-1", *protocol::AttemptId::from_key(sealed_for)));
    REQUIRE(box);
    const Json sealed = Json::object({{"to", to_base64(key)}, {"agent", "agent-1"}, {"box", to_base64(*box)}});
    return Json::object({{"open", Json::object({{"key", attempt}, {"grants", std::move(grants)}, {"sealed", sealed}})}});
}

Json opening(std::string key, Json grants) { return Json::object({{"open", Json::object({{"key", key}, {"grants", std::move(grants)}, {"credentials", Json::object()}})}}); }

}  // namespace

TEST_CASE("two attempts have their own grants and nothing of each other's", "[broker][program]")
{
    Bench bench;
    Channel agent = bench.agent();
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
    Channel agent = bench.agent();
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
    Channel agent = bench.agent();
    REQUIRE(agent.send(dump_json(opening("a.1.1", Json::object({{"files", Json::object({{"read", Json::array({"relative"})}})}})))));
    CHECK_THAT(Bench::hear(agent)["opened"]["error"].as_string(), Catch::Contains("relative"));
}

TEST_CASE("a new agent takes the place of the old one, and the attempts stay", "[broker][program]")
{
    Bench bench;
    Channel runner = bench.give({"attach", "a.1.1"});
    {
        Channel agent = bench.agent();
        REQUIRE(agent.send(dump_json(opening("a.1.1", Json::object({{"commands", Json::array({"sh"})}})))));
        CHECK(Bench::hear(agent).contains("opened"));
    }
    Channel agent = bench.agent();
    CHECK(bench.open == Json::object({{"a.1.1", Json::object({{"reveal", Json::array()}})}}));
    REQUIRE(runner.send(R"({"id":1,"effect":"command.start","with":{"path":"sh"}})"));
    CHECK(Bench::hear(runner).contains("result"));
    REQUIRE(agent.send(R"({"close":{"key":"a.1.1"}})"));
    REQUIRE(agent.send(dump_json(opening("b.1.1", Json::object()))));
    CHECK(Bench::hear(agent).contains("opened"));
    REQUIRE(runner.send(R"({"id":2,"effect":"command.start","with":{"path":"sh"},"timeoutMs":50})"));
    CHECK(Bench::hear(runner)["error"]["type"].as_string() == "timeout");
}

TEST_CASE("credentials come sealed to the broker's key and go out with a request", "[broker][program][sealed]")
{
    Bench bench;
    LoopbackServer server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    Channel agent = bench.agent();
    Channel runner = bench.give({"attach", "a.1.1"});
    const std::string place = "http://127.0.0.1:" + std::to_string(server.port());
    Json grants = Json::object({{"network", Json::array({place})}, {"credentials", Json::array({"erp"})}});
    const std::string call = R"({"id":1,"effect":"http.request","with":{"method":"GET","uri":")" + server.url() + R"(","authentication":{"bearer":{"use":"erp"}}}})";
    SECTION("of this attempt")
    {
        REQUIRE(agent.send(dump_json(opening_sealed(bench.key, "a.1.1", "a.1.1", grants))));
        const Json opened = Bench::hear(agent)["opened"];
        CHECK(opened["key"].as_string() == "a.1.1");
        CHECK_FALSE(opened.contains("error"));
        CHECK_FALSE(opened.contains("reveal"));
        REQUIRE(runner.send(call));
        CHECK(Bench::hear(runner)["result"]["status"] == Json(200));
        REQUIRE(server.requests().size() == 1);
        CHECK_THAT(server.requests().front(), Catch::Contains("Bearer t0ken-of-erp"));
    }
    SECTION("a box for another attempt opens nothing")
    {
        REQUIRE(agent.send(dump_json(opening_sealed(bench.key, "a.1.1", "b.1.1", grants))));
        CHECK_THAT(Bench::hear(agent)["opened"]["error"].as_string(), Catch::Contains("another attempt"));
    }
    SECTION("nor does one for another broker, and it is said so")
    {
        REQUIRE(agent.send(dump_json(opening_sealed(platform::make_sealing_key().public_key, "a.1.1", "a.1.1", grants))));
        CHECK_THAT(Bench::hear(agent)["opened"]["error"].as_string(), Catch::Contains("another broker"));
    }
    SECTION("nor one that was cut or is none")
    {
        Json words = opening_sealed(bench.key, "a.1.1", "a.1.1", grants);
        for (const std::string& box : {std::string(), std::string("!"), to_base64("short"), words["open"]["sealed"]["box"].as_string().substr(0, 80)}) {
            Json open = words["open"], sealed = open["sealed"];
            open.set("sealed", sealed.set("box", box));
            REQUIRE(agent.send(dump_json(Json::object({{"open", open}}))));
            CHECK(Bench::hear(agent)["opened"].contains("error"));
        }
    }
    SECTION("why there are none is what an effect that needs one fails with; the others go on")
    {
        Json open = opening("a.1.1", grants)["open"];
        REQUIRE(agent.send(dump_json(Json::object({{"open", open.set("missing", "credential 'erp-prod' expired")}}))));
        CHECK_FALSE(Bench::hear(agent)["opened"].contains("error"));
        REQUIRE(runner.send(call));
        const Json error = Bench::hear(runner)["error"];
        CHECK(error["type"] == Json("authentication"));
        CHECK_THAT(error["detail"].as_string(), Catch::Contains("'erp'") && Catch::Contains("credential 'erp-prod' expired"));
        CHECK(server.requests().empty());
        REQUIRE(runner.send(R"({"id":2,"effect":"http.request","with":{"method":"GET","uri":")" + server.url() + R"("}})"));
        CHECK(Bench::hear(runner)["result"]["status"] == Json(200));
    }
}

TEST_CASE("a credential that the machine holds is asked of the keeper, which hands over its file", "[broker][program][sealed]")
{
    Bench bench;
    LoopbackServer server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    Channel agent = bench.agent();
    Channel runner = bench.give({"attach", "a.1.1"});
    const std::string place = "http://127.0.0.1:" + std::to_string(server.port());
    const TempFolder temp;
    const protocol::Boxed boxed{Json::object(), Json::object({{"erp", Json::object({{"name", "erp-prod"}, {"kind", "bearer"}, {"hosts", Json::array({place})}})}})};
    const auto box = platform::seal_to(bench.key, protocol::boxed_text(boxed), protocol::kSealedInfo, protocol::sealed_context("agent-1", *protocol::AttemptId::from_key("a.1.1")));
    const Json open = Json::object({{"key", "a.1.1"}, {"grants", Json::object({{"network", Json::array({place})}, {"credentials", Json::array({"erp"})}})},
                                    {"sealed", Json::object({{"to", to_base64(bench.key)}, {"agent", "agent-1"}, {"box", to_base64(*box)}})}});
    REQUIRE(agent.send(dump_json(Json::object({{"open", open}}))));
    auto asked = bench.keeper.receive(Milliseconds(20'000));
    REQUIRE(asked);
    REQUIRE(*asked);
    CHECK(*keeper::decode((*asked)->text) == keeper::Words{"credential", "erp-prod"});
    const auto hand_over = [&](const std::string& text) {
        std::ofstream(temp.path() + "/erp") << text;
        auto folder = platform::Folder::open(temp.path());
        REQUIRE(folder);
        auto file = folder->open_file("erp");
        REQUIRE(file);
        REQUIRE(bench.keeper.send(keeper::encode(keeper::Words{"credential", "erp-prod"}), &*file));
    };
    const std::string call = R"({"id":1,"effect":"http.request","with":{"method":"GET","uri":")" + server.url() + R"(","authentication":{"bearer":{"use":"erp"}}}})";
    SECTION("as YAML")
    {
        hand_over("token: t0ken-of-erp\n");
        CHECK_FALSE(Bench::hear(agent)["opened"].contains("error"));
        REQUIRE(runner.send(call));
        CHECK(Bench::hear(runner)["result"]["status"] == Json(200));
        CHECK_THAT(server.requests().at(0), Catch::Contains("Bearer t0ken-of-erp"));
    }
    SECTION("whose own hosts bind it, too")
    {
        hand_over(R"({"token":"t0ken-of-erp","hosts":["https://erp.example.com"]})");
        CHECK_FALSE(Bench::hear(agent)["opened"].contains("error"));
        REQUIRE(runner.send(call));
        const Json error = Bench::hear(runner)["error"];
        CHECK(error["status"] == Json(403));
        CHECK_THAT(error["detail"].as_string(), Catch::Contains("this machine lets the credential 'erp' not go to"));
        CHECK(server.requests().empty());
    }
    SECTION("that is not what its kind needs: said without what stands in it")
    {
        hand_over("tokn: t0ken-of-erp\n");
        const std::string error = Bench::hear(agent)["opened"]["error"].as_string();
        CHECK_THAT(error, Catch::Contains("'erp-prod'") && Catch::Contains("lacks 'token'") && !Catch::Contains("t0ken"));
    }
    SECTION("that is no YAML")
    {
        hand_over("t0ken: [of-erp");
        CHECK_THAT(Bench::hear(agent)["opened"]["error"].as_string(), Catch::Contains("neither YAML nor JSON") && !Catch::Contains("t0ken"));
    }
    SECTION("that is not there")
    {
        REQUIRE(bench.keeper.send(keeper::encode(keeper::Words{"credential", "erp-prod", "not_found", "there is no /data/credentials/erp-prod.yaml"})));
        CHECK_THAT(Bench::hear(agent)["opened"]["error"].as_string(), Catch::Contains("'erp-prod'") && Catch::Contains("there is no /data/credentials/erp-prod.yaml"));
    }
    SECTION("that others can read")
    {
        REQUIRE(bench.keeper.send(keeper::encode(keeper::Words{"credential", "erp-prod", "denied", "use 'chmod 600 x'"})));
        CHECK_THAT(Bench::hear(agent)["opened"]["error"].as_string(), Catch::Contains("chmod 600"));
    }
    SECTION("an attempt that was closed meanwhile is not opened")
    {
        REQUIRE(agent.send(R"({"close":{"key":"a.1.1"}})"));
        REQUIRE(agent.send(dump_json(opening("b.1.1", Json::object()))));
        CHECK(Bench::hear(agent)["opened"]["key"] == Json("b.1.1"));
        hand_over("token: t0ken-of-erp\n");
        REQUIRE(agent.send(dump_json(opening("c.1.1", Json::object()))));
        CHECK(Bench::hear(agent)["opened"]["key"] == Json("c.1.1"));
    }
}

TEST_CASE("each broker has a key of its own", "[broker][program][sealed]")
{
    Bench one, other;
    Channel first = one.agent(), second = other.agent();
    CHECK(one.key.size() == 32);
    CHECK(one.key != other.key);
    const std::string before = one.key;
    first = one.agent();
    CHECK(one.key == before);  // for as long as it lives
}

TEST_CASE("the agent hears the values that a job may have in plain, and no others", "[broker][sealed]")
{
    const Json credentials = *parse_json(R"({"erp":{"kind":"login","username":"anna","password":"hunter2-long","hosts":["https://h"]},"crm":{"kind":"bearer","token":"t0ken-of-crm"}})");
    CHECK(broker::revealed_texts(Json::object(), credentials) == Json::array());
    CHECK(broker::revealed_texts(*parse_json(R"({"reveal":["erp","nobody"]})"), credentials) == Json::array({"hunter2-long"}));
    CHECK(broker::revealed_texts(*parse_json(R"({"reveal":"erp"})"), credentials) == Json::array());
}

TEST_CASE("it ends when the keeper is gone", "[broker][program]")
{
    Bench bench;
    Channel agent = bench.agent();
    bench.keeper = {};
    const auto ended = bench.process->wait(Milliseconds(20'000));
    REQUIRE(ended);
    CHECK(ended->exit_code == 0);
}
