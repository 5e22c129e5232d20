#include "tests/unit/runner/runner_bench.h"

using namespace mill;
using namespace mill::test;

namespace {

const char* const kTasks = "  - w: { call: file.write, with: { path: a/notes.txt, content: kept } }\n"
                           "  - q: { call: ask.user, with: { text: How many, kind: number, within: 2h } }\n"
                           "  - r: { set: { n: '${ . }' } }\n";

/// The next message with this member; events are acknowledged on the way.
Json until(RunnerBench& bench, const char* member)
{
    for (;;) {
        const Json message = bench.hear();
        if (const Json* event = message.find("event")) bench.say(Json::object({{"ack", (*event)["sequence"]}}));
        if (const Json* found = message.find(member)) return *found;
    }
}

Json final_of(RunnerBench& bench)
{
    for (;;) {
        const Json event = until(bench, "event");
        const std::string& state = event["body"]["state"].as_string();
        if (event["kind"].as_string() == "state" && state != "waiting" && state != "running") return event["body"];
    }
}

Json answer_to(const Json& ask, Json value) { return Json::object({{"answered", Json::object({{"question", ask["question"]}, {"state", "answered"}, {"answer", std::move(value)}})}}); }

}  // namespace

TEST_CASE("a run that asks says so, stands, and goes on in another runner from what was kept", "[runner][asking]")
{
    Json snapshot, ask;
    std::uint64_t after = 0;
    {
        RunnerBench bench;
        bench.package(kTasks);
        bench.more.set("asks", "factory");
        bench.start();
        bench.begin();
        ask = until(bench, "ask");
        CHECK(ask["text"] == Json("How many"));
        CHECK(ask["withinMs"] == Json(7'200'000));
        const Json waits = until(bench, "waits");
        snapshot = waits["snapshot"];
        after = static_cast<std::uint64_t>(waits["after"].as_integer());
        REQUIRE(snapshot.is_object());
        CHECK(snapshot["asks"][std::size_t{0}]["ask"]["question"] == ask["question"]);
        bench.say(Json::object({{"resume", after}}));   // another agent: it hears of it again
        CHECK(until(bench, "ask")["question"] == ask["question"]);
        CHECK(until(bench, "waits")["after"] == waits["after"]);
        bench.say(answer_to(ask, 7));
        bench.say(answer_to(ask, 8));   // said again: the first one counts
        CHECK(final_of(bench)["output"]["n"] == Json(7));
        CHECK(bench.exit_code() == 0);
    }
    RunnerBench bench;
    bench.package(kTasks);
    bench.more.set("asks", "factory").set("snapshot", snapshot).set("firstSequence", after + 1);
    bench.start();
    bench.begin();
    CHECK(until(bench, "ask")["question"] == ask["question"]);
    CHECK(static_cast<std::uint64_t>(until(bench, "waits")["after"].as_integer()) == after + 1);   // it said that it goes on
    CHECK(std::filesystem::exists(bench.folder.path() + "/work/a/notes.txt"));
    bench.say(answer_to(ask, 9));
    CHECK(final_of(bench)["output"]["n"] == Json(9));
}

TEST_CASE("where nobody can be asked the task faults, and says why", "[runner][asking]")
{
    for (const auto& [asks, words] : {std::pair{"nobody", "nobody can be asked here"}, std::pair{"", "upgrade millwright-agent"}}) {
        RunnerBench bench;
        bench.package(kTasks);
        bench.more.set("asks", asks);
        bench.start();
        bench.begin();
        CHECK_THAT(final_of(bench)["error"]["detail"].as_string(), Catch::Contains(words));
    }
}

TEST_CASE("a timer of a waiting run fires only when nothing is kept of it any more", "[runner][asking]")
{
    RunnerBench bench;
    bench.package("  - d: { do: [ { q: { call: ask.user, with: { text: Well, within: 2h } } } ], timeout: { after: { milliseconds: 300 } } }\n");
    bench.more.set("asks", "factory");
    bench.start();
    bench.begin();
    (void)until(bench, "waits");
    CHECK(until(bench, "leave") == Json(true));
    const auto none = bench.job.receive(Milliseconds(300));
    CHECK((none && !*none));
    bench.say(Json::object({{"go", true}}));
    CHECK(until(bench, "unask")["question"].is_string());
    CHECK(final_of(bench)["error"]["status"] == Json(408));
}
