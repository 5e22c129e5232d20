#include <catch2/catch.hpp>

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "agent/runner/effects.h"
#include "tests/unit/broker/temp_folder.h"

using namespace mill;
using namespace mill::runner;

namespace {

struct Bench {
    TempFolder folder;
    FakeClock clock;
    std::vector<Json> events, to_broker;
    Reporter reporter{clock, [this](std::string text) { events.push_back((*parse_json(text))["event"]); }, [](auto) {}};
    Commands commands{folder.path(), 1024, [] {}};
    Effects effects{clock, reporter, commands, folder.path(), [this](std::string text) { to_broker.push_back(*parse_json(text)); }};

    void start(std::uint64_t id, std::string effect, Json with, std::optional<Milliseconds> timeout = {})
    {
        effects.start({id, std::move(effect), std::move(with), "/do/0/x", timeout});
    }
    Effects::Answer only()
    {
        auto answers = effects.take();
        REQUIRE(answers.size() == 1);
        return std::move(answers.front());
    }
};

}  // namespace

TEST_CASE("an effect goes to the broker with its deadline, and its answer to the one who asked", "[runner][effects]")
{
    Bench bench;
    bench.start(41, "http.request", Json::object({{"uri", "https://a.example"}}), Milliseconds(1500));
    REQUIRE(bench.to_broker.size() == 1);
    CHECK(bench.to_broker[0]["effect"].as_string() == "http.request");
    CHECK(bench.to_broker[0]["timeoutMs"].as_integer() == 1500);
    const std::int64_t number = bench.to_broker[0]["id"].as_integer();
    bench.effects.hear(dump_json(Json::object({{"id", number}, {"result", Json::object({{"status", 200}})}})));
    const auto answer = bench.only();
    CHECK(answer.id == 41);
    CHECK(answer.outcome->find("status")->as_integer() == 200);
}

TEST_CASE("the broker's error becomes a fault of the standard type", "[runner][effects]")
{
    Bench bench;
    bench.start(1, "file.read", Json::object({{"path", "/etc/passwd"}}));
    bench.effects.hear(R"({"id":1,"error":{"type":"authorization","status":403,"title":"Not granted","detail":"why"}})");
    const auto answer = bench.only();
    REQUIRE_FALSE(answer.outcome);
    CHECK(answer.outcome.error().type == "https://serverlessworkflow.io/spec/1.0.0/errors/authorization");
    CHECK(answer.outcome.error().status == 403);
    CHECK(answer.outcome.error().detail == "why");
}

TEST_CASE("log and progress are events, and need nobody", "[runner][effects]")
{
    Bench bench;
    bench.start(1, "log", Json::object({{"level", "warning"}, {"text", "disk is full"}}));
    bench.start(2, "log", Json::object({{"text", Json::array({1, 2})}}));
    REQUIRE(bench.events.size() == 2);
    CHECK(bench.events[0]["body"]["level"].as_string() == "warning");
    CHECK(bench.events[0]["body"]["task"].as_string() == "/do/0/x");
    CHECK(bench.events[1]["body"]["text"].as_string() == "[1,2]");
    CHECK(bench.events[1]["body"]["level"].as_string() == "info");
    CHECK(bench.to_broker.empty());
    CHECK(bench.effects.take().size() == 2);
}

TEST_CASE("files with a relative path are the workspace's, absolute ones the broker's", "[runner][effects]")
{
    Bench bench;
    bench.start(1, "file.write", Json::object({{"path", "./out/a.txt"}, {"content", "hello"}}));
    CHECK(bench.only().outcome->find("size")->as_integer() == 5);
    bench.start(2, "file.read", Json::object({{"path", "out/a.txt"}}));
    CHECK(bench.only().outcome->find("content")->as_string() == "hello");
    bench.start(3, "file.list", Json::object({{"path", "."}, {"recursive", true}}));
    CHECK(bench.only().outcome->find("entries")->size() == 2);
    bench.start(4, "file.read", Json::object({{"path", "../x"}}));
    CHECK_FALSE(bench.only().outcome);
    CHECK(bench.to_broker.empty());
    bench.start(5, "file.read", Json::object({{"path", "/srv/x"}}));
    CHECK(bench.to_broker.size() == 1);
}

TEST_CASE("a command asks for the least first, and the first refusal is the one that is told", "[runner][effects]")
{
    Bench bench;
    bench.start(9, "shell", Json::object({{"command", "python3 x.py"}}));
    REQUIRE(bench.to_broker.size() == 1);
    CHECK(bench.to_broker[0]["effect"].as_string() == "command.start");
    CHECK(bench.to_broker[0]["with"]["path"].as_string() == "python3");
    bench.effects.hear(R"({"id":1,"error":{"type":"authorization","status":403,"title":"Not granted","detail":"python3"}})");
    REQUIRE(bench.to_broker.size() == 2);
    CHECK(bench.to_broker[1]["with"]["path"].as_string() == "sh");
    bench.effects.hear(R"({"id":2,"error":{"type":"authorization","status":403,"title":"Not granted","detail":"sh"}})");
    const auto answer = bench.only();
    CHECK(answer.id == 9);
    REQUIRE_FALSE(answer.outcome);
    CHECK(answer.outcome.error().detail == "python3");
}

TEST_CASE("the log says which command starts, with its arguments, in one line of bounded length", "[runner][effects]")
{
    Bench bench;
    const auto starts = [&](Json with) {
        bench.events.clear();
        bench.start(1, "shell", std::move(with));
        const std::int64_t number = bench.to_broker.back()["id"].as_integer();
        bench.effects.hear(dump_json(Json::object({{"id", number}, {"result", Json::object({{"path", "/usr/bin/no-such-program"}})}})));
        REQUIRE(bench.events.size() == 1);
        CHECK(bench.events[0]["body"]["level"].as_string() == "debug");
        CHECK(bench.events[0]["body"]["task"].as_string() == "/do/0/x");
        return bench.events[0]["body"]["text"].as_string();
    };
    CHECK(starts(Json::object({{"command", "python3 script.py --x"}})) == "starts /usr/bin/no-such-program script.py --x");
    CHECK(starts(Json::object({{"command", "tool"}, {"arguments", Json::array({"two words", "it's", "", "a\nb\x1b[31m"})}})) ==
          "starts /usr/bin/no-such-program 'two words' 'it'\\''s' '' 'a\\nb?[31m'");
    const std::string longest = starts(Json::object({{"command", "tool"}, {"arguments", Json::array({std::string(5000, 'x'), "unseen"})}}));
    CHECK(longest.size() < 1100);
    CHECK_THAT(longest, Catch::Contains(" [cut: ") && Catch::EndsWith(" bytes]") && !Catch::Contains("unseen"));
}

TEST_CASE("the log says how many secrets the broker masked", "[runner][effects]")
{
    Bench bench;
    bench.start(1, "http.request", Json::object({{"uri", "https://a.example"}}));
    bench.effects.hear(R"({"id":1,"result":{"status":200},"masked":2})");
    CHECK(bench.only().outcome);
    REQUIRE(bench.events.size() == 1);
    CHECK(bench.events[0]["body"]["text"].as_string() == "2 secrets were masked in what http.request gave");
}

TEST_CASE("a new broker ends what was open with a runtime fault, and serves what comes after", "[runner][effects]")
{
    Bench bench;
    bench.start(1, "system.usage", Json::object());
    bench.start(2, "http.request", Json::object());
    bench.effects.hear(R"({"reset":true})");
    auto answers = bench.effects.take();
    REQUIRE(answers.size() == 2);
    for (const auto& answer : answers) CHECK_THAT(answer.outcome.error().type, Catch::EndsWith("/runtime"));
    bench.effects.hear(R"({"id":1,"result":{}})");
    CHECK(bench.effects.take().empty());
    bench.start(3, "system.usage", Json::object());
    CHECK(bench.to_broker.size() == 3);
}

TEST_CASE("without a broker effects fail at once", "[runner][effects]")
{
    Bench bench;
    bench.effects.broker_lost("gone", true);
    bench.start(1, "system.usage", Json::object());
    CHECK_FALSE(bench.only().outcome);
    CHECK(bench.to_broker.empty());
}

TEST_CASE("a cancelled effect is cancelled at the broker and never answered", "[runner][effects]")
{
    Bench bench;
    bench.start(1, "http.request", Json::object());
    bench.effects.cancel(1);
    REQUIRE(bench.to_broker.size() == 2);
    CHECK(bench.to_broker[1]["cancel"].as_integer() == 1);
    bench.effects.hear(R"({"id":1,"result":{}})");
    CHECK(bench.effects.take().empty());
}

TEST_CASE("a broker that hangs past its own deadline costs a timeout fault", "[runner][effects]")
{
    Bench bench;
    bench.start(1, "http.request", Json::object(), Milliseconds(100));
    REQUIRE(bench.effects.next_deadline());
    bench.clock.advance(Milliseconds(101));
    bench.effects.expire(bench.clock.steady());
    CHECK(bench.effects.take().empty());
    bench.clock.advance(Milliseconds(10'000));
    bench.effects.expire(bench.clock.steady());
    CHECK(bench.only().outcome.error().status == 408);
    CHECK_FALSE(bench.effects.next_deadline());
}

TEST_CASE("what the broker should never say does no harm", "[runner][effects]")
{
    Bench bench;
    bench.start(1, "shell", Json::object({{"command", "x"}}));
    for (const char* text : {"", "{", "[]", "7", R"({"id":"x"})", R"({"id":99,"result":1})"}) bench.effects.hear(text);
    SUCCEED("it is still here");
}

TEST_CASE("nobody outside can send a secret's handle in", "[runner][effects]")
{
    const std::string handle = "\xEE\x80\x80" "erp.password\xEE\x80\x81";
    CHECK(dump_json(from_outside(Json::object({{"a" + handle, Json::array({handle, 1})}}))).find("\xEE\x80\x80") == std::string::npos);
    Bench bench;
    std::ofstream(bench.folder.path() + "/x") << handle;
    bench.start(2, "file.read", Json::object({{"path", "x"}}));
    CHECK(dump_json(*bench.only().outcome).find("\xEE\x80\x80") == std::string::npos);
    bench.start(3, "shell", Json::object({{"command", "echo"}, {"environment", Json::object({{"P", handle}})}}));
    CHECK(bench.only().outcome.error().status == 403);
}
