// What a job does outside itself: effects by the real broker, commands in its workspace.
#include <signal.h>

#include "tests/unit/runner/runner_bench.h"

using namespace mill;
using namespace mill::test;
using Bench = RunnerBench;

TEST_CASE("effects go through the real broker: granted they work, refused they say what would allow them", "[runner][broker][program]")
{
    Bench bench;
    const TempFolder granted;
    bench.package("  - write: { call: file.write, with: { path: '" + granted.path() + "/report.txt', content: all is well } }\n"
                  "  - read: { call: file.read, with: { path: '/etc/hostname' } }\n");
    bench.start(false, true);
    bench.begin(Json::object(), Json::object({{"files", Json::object({{"write", Json::array({granted.path()})}})}}));
    const Json end = bench.finish();
    CHECK(end["state"].as_string() == "failed");
    CHECK(end["error"]["status"].as_integer() == 403);
    CHECK_THAT(end["error"]["detail"].as_string(), Catch::Contains("files: { read: [ \"/etc/hostname\" ] }"));
    std::string text;
    std::getline(std::ifstream(granted.path() + "/report.txt"), text);
    CHECK(text == "all is well");
}

TEST_CASE("a granted command runs in the workspace", "[runner][broker][program]")
{
    Bench bench;
    bench.package("  - say: { run: { shell: { command: 'pwd; echo $((6*7))' } } }\n", kAsksForSh);
    bench.start(true, true);
    bench.begin(Json::object(), Json::object({{"commands", Json::array({"sh"})}}));
    const Json end = bench.finish();
    CHECK(end["state"].as_string() == "successful");
    CHECK(end["output"].as_string() == bench.folder.path() + "/work\n42\n");
}

TEST_CASE("a runner that was not started for commands cannot start one, whatever the grants say", "[runner][broker][program]")
{
    Bench bench;
    bench.package("  - say: { run: { shell: { command: 'echo no' } } }\n", kAsksForSh);
    bench.start(false, true);
    bench.begin(Json::object(), Json::object({{"commands", Json::array({"sh"})}}));
    const Json end = bench.finish();
    CHECK(end["state"].as_string() == "failed");
    CHECK(bench.exit_code() == 0);
}

TEST_CASE("a cancelled job kills the commands it runs", "[runner][broker][program]")
{
    Bench bench;
    bench.package("  - hang: { run: { shell: { command: 'echo $$ > pid; exec sleep 600' } } }\n", kAsksForSh);
    bench.start(true, true);
    bench.begin(Json::object(), Json::object({{"commands", Json::array({"sh"})}}));
    const std::string file = bench.folder.path() + "/work/pid";
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    pid_t pid = 0;
    while (pid == 0 && std::chrono::steady_clock::now() < deadline) {
        CHECK_FALSE(bench.process->wait(Milliseconds(20)));
        std::ifstream(file) >> pid;
    }
    REQUIRE(pid > 0);
    bench.say(Json::object({{"cancel", Json::object({{"by", "anna"}, {"why", "x"}})}}));
    CHECK(bench.finish()["state"].as_string() == "cancelled");
    CHECK(bench.exit_code() == 0);
    CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("when the broker dies its open effects fail as runtime, and the job goes on with the next broker", "[runner][broker][program]")
{
    Bench bench;
    bench.package("  - first: { try: [ { ask: { call: system.usage, with: {} } } ], catch: { errors: { with: { status: 500 } }, do: [ { note: { set: { lost: true } } } ] } }\n");
    bench.start();
    bench.begin();
    auto request = bench.effects.receive(kLong);
    REQUIRE(request);
    REQUIRE(*request);
    CHECK_THAT((*request)->text, Catch::Contains("system.usage"));
    REQUIRE(bench.effects.send(R"({"reset":true})"));
    const Json end = bench.finish();
    CHECK(end["state"].as_string() == "successful");
    CHECK(end["output"]["lost"].as_bool());
}
