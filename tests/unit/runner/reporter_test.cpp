#include <catch2/catch.hpp>

#include <deque>
#include <string>
#include <vector>

#include "agent/runner/reporter.h"

using namespace mill;
using runner::Quotas;
using runner::Reporter;

namespace {

struct Wire {
    FakeClock clock;
    std::vector<Json> sent;
    Reporter reporter;

    explicit Wire(Quotas quotas = {})
        : reporter(clock, [this](std::string text) { sent.push_back((*parse_json(text))["event"]); },
                   [this](std::deque<std::string> texts) {
                       sent.clear();
                       for (const std::string& text : texts) sent.push_back((*parse_json(text))["event"]);
                   },
                   quotas)
    {
        reporter.begin(2);
    }
    void step(std::string task, std::string state, Json error = {}, std::optional<WallTime> started = {})
    {
        reporter.step({task, task, "set", state, Json(), std::move(error), clock.now(), started});
    }
};

}  // namespace

TEST_CASE("a task that ends quickly is one record that knows when it started", "[runner][reporter]")
{
    Wire wire;
    const std::string started = format_time(wire.clock.now());
    wire.step("/do/0/a", "started");
    CHECK(wire.sent.empty());
    wire.clock.advance(Milliseconds(3));
    wire.step("/do/0/a", "completed");
    REQUIRE(wire.sent.size() == 1);
    CHECK(wire.sent[0]["sequence"].as_integer() == 2);
    CHECK(wire.sent[0]["kind"].as_string() == "step");
    CHECK(wire.sent[0]["body"]["state"].as_string() == "completed");
    CHECK(wire.sent[0]["body"]["startedAt"].as_string() == started);
}

TEST_CASE("a task that takes long is told as started first", "[runner][reporter]")
{
    Wire wire;
    wire.step("/do/0/a", "started");
    REQUIRE(wire.reporter.flush_at());
    wire.reporter.flush(wire.clock.steady());
    CHECK(wire.sent.empty());
    wire.clock.advance(Milliseconds(60));
    wire.reporter.flush(wire.clock.steady());
    REQUIRE(wire.sent.size() == 1);
    CHECK(wire.sent[0]["body"]["state"].as_string() == "started");
    CHECK_FALSE(wire.reporter.flush_at());
    wire.step("/do/0/a", "completed");
    REQUIRE(wire.sent.size() == 2);
    CHECK_FALSE(wire.sent[1]["body"].contains("startedAt"));
}

TEST_CASE("a record that the interpreter made for both keeps its two times", "[runner][reporter]")
{
    Wire wire;
    wire.step("/do/0/outer", "started");
    const WallTime started = wire.clock.now();
    wire.clock.advance(Milliseconds(2));
    wire.step("/do/0/outer/do/0/a", "completed", {}, started);
    REQUIRE(wire.sent.size() == 2);
    CHECK(wire.sent[0]["body"]["state"].as_string() == "started");
    CHECK(wire.sent[1]["body"]["startedAt"].as_string() == format_time(started));
    CHECK(wire.sent[1]["time"].as_string() == format_time(wire.clock.now()));
}

TEST_CASE("what started earlier is told earlier", "[runner][reporter]")
{
    Wire wire;
    wire.step("/do/0/outer", "started");
    wire.step("/do/0/outer/do/0/inner", "started");
    wire.step("/do/0/outer/do/0/inner", "completed");
    wire.step("/do/0/outer", "completed");
    REQUIRE(wire.sent.size() == 3);
    CHECK(wire.sent[0]["body"]["state"].as_string() == "started");
    CHECK(wire.sent[0]["body"]["task"].as_string() == "/do/0/outer");
    CHECK(wire.sent[1]["body"]["task"].as_string() == "/do/0/outer/do/0/inner");
    CHECK(wire.sent[2]["body"]["state"].as_string() == "completed");
    for (std::size_t i = 0; i < 3; ++i) CHECK(wire.sent[i]["sequence"].as_integer() == static_cast<std::int64_t>(i + 2));
}

TEST_CASE("a fault carries the members of its problem document, bounded", "[runner][reporter]")
{
    Wire wire;
    const Json error = Json::object({{"type", "t"}, {"status", 500}, {"title", "x"}, {"detail", std::string(100'000, 'd')}, {"extra", 1}});
    wire.step("/do/0/a", "faulted", error);
    REQUIRE(wire.sent.size() == 1);
    const Json& told = wire.sent[0]["body"]["error"];
    CHECK(told["status"].as_integer() == 500);
    CHECK_THAT(told["detail"].as_string(), Catch::EndsWith("d [cut: 16384 of 100000 bytes]"));
    CHECK_FALSE(told.contains("extra"));
}

TEST_CASE("records over the quota are counted, and the end has room all the same", "[runner][reporter]")
{
    Wire wire({.steps = 2, .logs = 1});
    for (int i = 0; i < 5; ++i) wire.step("/do/" + std::to_string(i), "completed");
    wire.reporter.log("info", "one", "");
    wire.reporter.log("info", "two", "");
    wire.reporter.finish(protocol::JobState::successful, protocol::Reason::completed, Json::object({{"output", 42}}));
    REQUIRE(wire.sent.size() == 6);
    CHECK(wire.sent[3]["kind"].as_string() == "gap");
    CHECK(wire.sent[3]["body"]["kind"].as_string() == "step");
    CHECK(wire.sent[3]["body"]["lost"].as_integer() == 3);
    CHECK(wire.sent[4]["body"]["lost"].as_integer() == 1);
    CHECK(wire.sent[5]["body"]["state"].as_string() == "successful");
    CHECK(wire.sent[5]["body"]["output"].as_integer() == 42);
    CHECK(wire.sent[5]["sequence"].as_integer() == 7);
}

TEST_CASE("the bytes of records are bounded, too", "[runner][reporter]")
{
    Wire wire({.bytes = 10'000});
    for (int i = 0; i < 10; ++i) wire.reporter.log("info", std::string(4000, 'x'), "");
    wire.reporter.finish(protocol::JobState::failed, protocol::Reason::error, {});
    CHECK(wire.sent[wire.sent.size() - 2]["body"]["lost"].as_integer() == 7);
}

TEST_CASE("a long log text is cut between characters, and says so", "[runner][reporter]")
{
    Wire wire;
    std::string text;
    while (text.size() < 100'000) text += "\xE2\x82\xAC";  // three bytes each
    wire.reporter.log("warning", text, "/do/0/a");
    const std::string& told = wire.sent.at(0)["body"]["text"].as_string();
    CHECK(told.size() < runner::kMaxLogText + 100);
    CHECK_THAT(told, Catch::Contains("[cut: 65535 of"));
    CHECK(told.find("\xEF\xBF\xBD") == std::string::npos);
}

TEST_CASE("no event grows beyond its bound, whatever its text is made of", "[runner][reporter]")
{
    Wire wire;
    wire.reporter.log("info", std::string(runner::kMaxLogText, '\x01'), "");
    const std::string bad(200'000, '\x02');
    wire.step("/do/0/" + bad, "faulted", Json::object({{"type", bad}, {"title", bad}, {"detail", bad}, {"instance", bad}, {"status", 500}}));
    REQUIRE(wire.sent.size() == 2);
    for (const Json& event : wire.sent) CHECK(dump_json(event).size() < protocol::kMaxEventBytes);
    CHECK_THAT(wire.sent[0]["body"]["text"].as_string(), Catch::EndsWith("[cut]"));
    CHECK(wire.sent[1]["body"]["error"]["status"].as_integer() == 500);
}

TEST_CASE("what is not acknowledged is sent again to a new reader", "[runner][reporter]")
{
    Wire wire;
    for (int i = 0; i < 4; ++i) wire.reporter.log("info", std::to_string(i), "");
    wire.reporter.acknowledge(3);
    wire.reporter.resume(3);
    REQUIRE(wire.sent.size() == 2);
    CHECK(wire.sent[0]["sequence"].as_integer() == 4);
    CHECK(wire.sent[1]["sequence"].as_integer() == 5);
}

TEST_CASE("it is settled when the final event is acknowledged, and nothing comes after that event", "[runner][reporter]")
{
    Wire wire;
    wire.reporter.finish(protocol::JobState::successful, protocol::Reason::completed, {});
    wire.reporter.log("info", "late", "");
    wire.reporter.finish(protocol::JobState::failed, protocol::Reason::error, {});
    CHECK(wire.sent.size() == 1);
    CHECK(wire.reporter.finished());
    CHECK_FALSE(wire.reporter.settled());
    wire.reporter.acknowledge(1);
    CHECK_FALSE(wire.reporter.settled());
    wire.reporter.acknowledge(2);
    CHECK(wire.reporter.settled());
}
