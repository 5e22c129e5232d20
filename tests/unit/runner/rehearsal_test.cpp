// A test's run and a run that somebody steps through, in the real runner.
#include "tests/unit/runner/runner_bench.h"

using namespace mill;
using namespace mill::test;
using Bench = RunnerBench;

namespace {

Json parsed(const char* text) { return *parse_json(text); }

/// What the runner said of the test.
Json rehearsed(const Bench& bench)
{
    for (const Json& other : bench.others)
        if (const Json* told = other.find("rehearsed")) return *told;
    return Json();
}

}  // namespace

TEST_CASE("in a test stand-ins answer, waits jump, and every call is written down", "[runner][rehearsal]")
{
    Bench bench;
    bench.package(R"(  - sleep: { wait: { hours: 30 } }
  - ask: { timeout: { after: { seconds: 5 } }, call: http, with: { method: get, endpoint: "https://t.example.com/{id}" } }
  - keep: { call: file.write, with: { path: own.txt, content: x } }
  - tell: { set: { at: "${ $task.startedAt.iso8601[0:16] }", got: "${ $context.got }" } }
)");
    bench.start();
    bench.more = Json::object({{"rehearsal", parsed(R"({"standIns":[{"call":"http","result":{"ok":true},"after":"3s"}],"now":"2026-03-01T08:00:00Z","checks":[".at == \"2026-03-02T14:00\"","$calls | length == 2","$input.id == 7"]})")}});
    const SteadyTime from = system_clock().steady();
    bench.begin(parsed(R"({"id":7})"));
    const Json end = bench.finish();
    CHECK(end["state"].as_string() == "successful");
    CHECK(system_clock().steady() - from < std::chrono::seconds(15));
    const Json told = rehearsed(bench);
    INFO(dump_json(told));
    for (const Json& check : told["checks"].as_array()) CHECK(check["holds"].as_bool());
    REQUIRE(told["calls"].size() == 2);
    CHECK(told["calls"][std::size_t{0}] == parsed(R"({"task":"/do/1/ask","name":"ask","call":"http","real":false,"with":{"method":"GET","uri":"https://t.example.com/7","headers":{},"query":{},"redirect":false}})"));
    CHECK(told["calls"][std::size_t{1}]["real"].as_bool());  // its own folder is no one else's
    // What really passes between two steps need not be jumped over.
    CHECK(told["jumpedMs"].as_integer() <= (30 * 3600 + 3) * 1000);
    CHECK(told["jumpedMs"].as_integer() > (30 * 3600 + 3) * 1000 - 15'000);
}

TEST_CASE("in a test a call that nobody stands in for ends it with a clear text, even when the workflow would catch", "[runner][rehearsal]")
{
    Bench bench;
    bench.package("  - guard: { try: [ { ask: { call: http, with: { method: get, endpoint: 'https://t.example.com/' } } } ], catch: {} }\n");
    bench.start();
    bench.more = Json::object({{"rehearsal", Json::object()}});
    bench.begin();
    CHECK(bench.finish()["state"].as_string() == "cancelled");
    CHECK(rehearsed(bench)["problem"].as_string().find("task 'ask' (/do/0/guard/try/0/ask) calls http") != std::string::npos);
}

TEST_CASE("in a test a timeout meets a stand-in that never answers", "[runner][rehearsal]")
{
    Bench bench;
    bench.package("  - ask: { timeout: { after: { minutes: 20 } }, call: http, with: { method: get, endpoint: 'https://t.example.com/' } }\n");
    bench.start();
    bench.more = Json::object({{"rehearsal", parsed(R"({"standIns":[{"task":"ask","never":true}]})")}});
    bench.begin();
    const Json end = bench.finish();
    CHECK(end["error"]["status"] == Json(408));
}

TEST_CASE("in a test a wait for nothing is noticed", "[runner][rehearsal]")
{
    Bench bench;
    bench.package("  - ask: { call: http, with: { method: get, endpoint: 'https://t.example.com/' } }\n");
    bench.start();
    bench.more = Json::object({{"rehearsal", parsed(R"({"standIns":[{"task":"ask","never":true}]})")}});
    bench.begin();
    CHECK(bench.finish()["state"].as_string() == "cancelled");
    CHECK(rehearsed(bench)["problem"].as_string().find("never comes") != std::string::npos);
}

TEST_CASE("a person steps: look, over a list, until a task, to the end; deadlines stand still", "[runner][stepping]")
{
    Bench bench;
    bench.package(R"(  - a: { set: { n: 1 } }
  - list: { do: [ { b: { set: { n: 2 } } }, { c: { set: { n: 3 } } } ] }
  - hurry: { timeout: { after: { milliseconds: 400 } }, do: [ { d: { set: { n: 4 } } }, { e: { set: { n: 5 } } } ] }
  - last: { set: { n: 6 } }
)");
    bench.start();
    bench.more = Json::object({{"step", true}});
    bench.begin();
    const auto heard = [&](const char* what) {
        for (;;) {
            const Json message = bench.hear();
            if (const Json* event = message.find("event")) bench.say(Json::object({{"ack", (*event)["sequence"]}}));
            if (const Json* found = message.find(what)) return *found;
        }
    };
    const auto step = [&](const char* command) { bench.say(Json::object({{"step", parsed(command)}})); };
    CHECK(heard("paused")["name"] == Json("a"));
    step(R"({"do":"look","expression":". | keys"})");
    CHECK(heard("looked")["result"] == Json::array());
    step(R"({"do":"look","expression":".x |"})");
    CHECK_FALSE(heard("looked")["error"].as_string().empty());
    step(R"({"do":"dance"})");
    CHECK(heard("looked")["error"].as_string().find("dance") != std::string::npos);
    step(R"({"do":"step"})");
    CHECK(heard("resumed") == Json(true));
    CHECK(heard("paused")["name"] == Json("list"));
    step(R"({"do":"over"})");
    CHECK(heard("paused")["name"] == Json("hurry"));
    step(R"({"do":"until","task":"e"})");
    const Json at = heard("paused");
    CHECK(at["name"] == Json("e"));
    CHECK(at["data"] == parsed(R"({"n":4})"));
    CHECK(at["line"].as_integer() == 5);
    (void)system_clock().sleep(Milliseconds(700), {});  // longer than the timeout of `hurry`
    step(R"({"do":"continue"})");
    CHECK(bench.finish()["output"] == parsed(R"({"n":6})"));
}

TEST_CASE("a job that was not begun for stepping never stands still", "[runner][stepping]")
{
    Bench bench;
    bench.package("  - a: { set: { n: 1 } }\n");
    bench.start();
    bench.begin();
    bench.say(parsed(R"({"step":{"do":"look","expression":"."}})"));
    CHECK(bench.finish()["state"].as_string() == "successful");
    CHECK(bench.others.empty());
}
