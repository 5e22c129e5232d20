// One job in the real runner, from begin to its acknowledged end.
#include "tests/unit/runner/runner_bench.h"
#include "workflows/archive.h"

using namespace mill;
using namespace mill::test;
using Bench = RunnerBench;

TEST_CASE("a job runs from begin to its acknowledged end", "[runner][program]")
{
    Bench bench;
    bench.package("  - look: { set: { total: '${ .a + 1 }' } }\n  - note: { call: log, with: { level: info, text: 'counted' } }\n"
                  "  - reply: { set: { sum: '${ $workflow.input.a + 1 }' } }\n");
    bench.start();
    bench.begin(Json::object({{"a", 41}}));
    const Json end = bench.finish();
    CHECK(dump_json(end) == R"({"state":"successful","reason":"completed","output":{"sum":42}})");
    CHECK(bench.exit_code() == 0);
    std::int64_t sequence = 2;
    for (const Json& event : bench.events) CHECK(event["sequence"].as_integer() == sequence++);
    REQUIRE(bench.events.size() == 5);
    CHECK(bench.events[0]["body"]["task"].as_string() == "/do/0/look");
    CHECK(bench.events[0]["body"]["state"].as_string() == "completed");
    CHECK(bench.events[0]["body"].contains("startedAt"));
}

TEST_CASE("a package that was there from the start is loaded while the agent prepares", "[runner][program]")
{
    Bench bench;
    bench.package("  - a: { set: { b: '${ .n * 2 }' } }\n");
    bench.start(false, false, true);
    CHECK_FALSE(bench.process->wait(Milliseconds(300)));
    fs::remove(bench.folder.path() + "/demo.mwp");
    bench.begin(Json::object({{"n", 21}}));
    CHECK(bench.finish()["output"]["b"].as_integer() == 42);
    CHECK(bench.exit_code() == 0);
}

TEST_CASE("a package with errors is not started: every finding is told", "[runner][program]")
{
    Bench bench;
    bench.package("  - ok: { set: { a: 1 } }\n");
    std::ofstream(bench.folder.path() + "/demo.mwp", std::ios::binary) << "PK this is no archive";
    bench.start();
    bench.begin();
    const Json end = bench.finish();
    CHECK(end["state"].as_string() == "failed");
    CHECK(end["reason"].as_string() == "invalid_package");
    CHECK_FALSE(end["error"]["detail"].as_string().empty());
    CHECK(bench.exit_code() == 0);
}

TEST_CASE("a package that is read but has errors says the first of them, and has all as evidence", "[runner][program]")
{
    Bench bench;
    bench.package("  - ok: { set: { a: 1 } }\n");
    std::ifstream packed(bench.folder.path() + "/demo.mwp", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(packed), {}};
    auto files = workflows::read_archive(bytes);
    const auto manifest = workflows::read_archive_manifest(bytes);
    REQUIRE(files);
    REQUIRE(manifest);
    (*files)["main.yaml"] += "  - bad: { sett: { a: 1 } }\n  - worse: { set: { a: 1 }, thn: end }\n";  // `pack` would refuse it
    std::ofstream(bench.folder.path() + "/demo.mwp", std::ios::binary) << workflows::write_archive(*manifest, *files).value();
    bench.start();
    bench.begin();
    const Json end = bench.finish();
    CHECK(end["reason"].as_string() == "invalid_package");
    CHECK_THAT(end["error"]["detail"].as_string(), Catch::Contains("did you mean 'set'"));
    CHECK(end["evidence"]["findings"].size() == 2);
}

TEST_CASE("a fault that nobody caught is the job's error, with the members of a problem document", "[runner][program]")
{
    Bench bench;
    bench.package("  - stop: { raise: { error: { type: 'https://example.com/no-stock', status: 409, title: No stock, detail: 'none left' } } }\n");
    bench.start();
    bench.begin();
    const Json end = bench.finish();
    CHECK(end["state"].as_string() == "failed");
    CHECK(end["reason"].as_string() == "error");
    CHECK(end["error"]["type"].as_string() == "https://example.com/no-stock");
    CHECK(end["error"]["status"].as_integer() == 409);
    CHECK(end["error"]["title"].as_string() == "No stock");
    CHECK(bench.exit_code() == 0);
}

TEST_CASE("a cancel ends a job that waits, and says who asked", "[runner][program]")
{
    Bench bench;
    bench.package(kSleep);
    bench.start();
    bench.begin();
    const Json started = bench.hear();
    CHECK(started["event"]["body"]["state"].as_string() != "completed");
    bench.say(Json::object({{"cancel", Json::object({{"by", "anna"}, {"why", "a mistake"}})}}));
    const Json end = bench.finish();
    CHECK(end["state"].as_string() == "cancelled");
    CHECK(end["reason"].as_string() == "cancelled_by");
    CHECK(end["evidence"]["by"].as_string() == "anna");
    CHECK(end["evidence"]["why"].as_string() == "a mistake");
    CHECK(bench.exit_code() == 0);
}

TEST_CASE("a cancel before begin ends the job without running anything", "[runner][program]")
{
    Bench bench;
    bench.package("  - a: { set: { a: 1 } }\n");
    bench.start();
    bench.say(Json::object({{"cancel", Json::object({{"by", "anna"}, {"why", "x"}})}}));
    bench.begin();
    CHECK(bench.finish()["state"].as_string() == "cancelled");
    CHECK(bench.events.size() == 1);
}

TEST_CASE("it waits for the acknowledgement, and a new agent gets again what was not acknowledged", "[runner][program]")
{
    Bench bench;
    bench.package("  - a: { set: { a: 1 } }\n  - b: { set: { b: 1 } }\n");
    bench.acknowledge = false;
    bench.start();
    bench.begin();
    bench.finish();
    CHECK(bench.events.size() == 3);
    CHECK_FALSE(bench.process->wait(Milliseconds(200)));
    bench.say(Json::object({{"resume", 2}}));
    bench.events.clear();
    bench.finish();
    REQUIRE(bench.events.size() == 2);
    CHECK(bench.events[0]["sequence"].as_integer() == 3);
    bench.say(Json::object({{"ack", 4}}));
    CHECK(bench.exit_code() == 0);
}

TEST_CASE("a new agent that asks before begin hears ready again, and a second begin changes nothing", "[runner][program]")
{
    Bench bench;
    bench.package("  - a: { set: { a: '${ .x }' } }\n");
    bench.start();
    bench.say(Json::object({{"resume", 0}}));
    CHECK(bench.hear().contains("ready"));
    bench.begin(Json::object({{"x", 1}}));
    bench.begin(Json::object({{"x", 2}}));
    CHECK(bench.finish()["output"]["a"].as_integer() == 1);
}

TEST_CASE("an agent that is away holds nothing up", "[runner][program]")
{
    Bench bench;
    bench.package("  - many: { for: { in: '${ [range(3000)] }', each: n }, do: [ { one: { call: log, with: { text: '" + std::string(500, 'x') +
                  "' } } } ] }\n  - file: { call: file.write, with: { path: done.txt, content: done } }\n");
    bench.start();
    bench.begin();
    // Nobody reads the channel, whose buffer holds far less than this.
    const std::string mark = bench.folder.path() + "/work/done.txt";
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!fs::exists(mark) && std::chrono::steady_clock::now() < deadline) CHECK_FALSE(bench.process->wait(Milliseconds(20)));
    REQUIRE(fs::exists(mark));
    CHECK(bench.finish()["state"].as_string() == "successful");
    CHECK(bench.events.size() > 3000);
    CHECK(bench.exit_code() == 0);
}

TEST_CASE("it ends when nobody holds the job channel any more", "[runner][program]")
{
    Bench bench;
    bench.package(kSleep);
    bench.start();
    bench.begin();
    bench.job = {};
    CHECK(bench.exit_code() == 2);
}

TEST_CASE("an output over the limit fails the job with its reason", "[runner][program]")
{
    Bench bench;
    bench.package("  - big: { set: { text: '${ [range(2000)] | map(tostring) | join(\",\") }' } }\n");
    bench.start();
    bench.begin(Json::object(), Json::object({{"limits", Json::object({{"output", "1KiB"}})}}));
    const Json end = bench.finish();
    CHECK(end["state"].as_string() == "failed");
    CHECK(end["reason"].as_string() == "limit_output");
}

TEST_CASE("a local run sees lifecycle events and the trace", "[runner][program]")
{
    Bench bench;
    bench.package("  - a: { set: { a: 1 } }\n");
    bench.start();
    bench.begin(Json::object(), Json::object(), true);
    bench.finish();
    int cloud_events = 0, traces = 0;
    for (const Json& message : bench.others) {
        cloud_events += message.contains("cloudEvent") ? 1 : 0;
        traces += message.contains("trace") ? 1 : 0;
    }
    CHECK(cloud_events >= 4);
    CHECK(traces >= 1);
}

TEST_CASE("check prints the findings as JSON and exits 65 on errors", "[runner][program]")
{
    Bench bench;
    bench.package("  - a: { set: { a: 1 } }\n");
    platform::ProcessSpec spec;
    spec.program = program("millwright-runner");
    spec.arguments = {"--check", bench.folder.path() + "/demo.mwp", "--json"};
    auto good = platform::run_process(spec, "", 1 << 20, kLong);
    REQUIRE(good);
    CHECK(good->ending.exit_code == 0);
    CHECK((*parse_json(good->out))["valid"].as_bool());
    CHECK((*parse_json(good->out))["manifest"]["name"].as_string() == "demo");
    CHECK((*parse_json(good->out))["inputs"] == *parse_json(R"({"main":null})"));

    std::ofstream(bench.folder.path() + "/bad.yaml") << "document: { dsl: 1.0.3, namespace: test, name: demo, version: 1.0.0 }\ndo:\n  - a: { sett: { a: 1 } }\n";
    spec.arguments = {"--check", bench.folder.path() + "/bad.yaml", "--json"};
    auto bad = platform::run_process(spec, "", 1 << 20, kLong);
    REQUIRE(bad);
    CHECK(bad->ending.exit_code == 65);
    const auto findings = *parse_json(bad->out);
    CHECK_FALSE(findings["valid"].as_bool());
    REQUIRE(findings["findings"].size() >= 1);
    CHECK(findings["findings"][std::size_t{0}]["line"].as_integer() == 3);
}

TEST_CASE("check tells bytes that are no package from a package with mistakes", "[runner][program]")
{
    Bench bench;
    std::ofstream(bench.folder.path() + "/junk.mwp") << "junk";
    platform::ProcessSpec spec;
    spec.program = program("millwright-runner");
    spec.arguments = {"--check", bench.folder.path() + "/junk.mwp", "--json"};
    const auto junk = platform::run_process(spec, "", 1 << 20, kLong);
    REQUIRE(junk);
    CHECK(junk->ending.exit_code == 65);
    CHECK((*parse_json(junk->out))["error"]["code"].as_string() == "corrupt");
}

TEST_CASE("check-input holds a value against a schema", "[runner][program]")
{
    platform::ProcessSpec spec;
    spec.program = program("millwright-runner");
    spec.arguments = {"--check-input"};
    const auto ask = [&](const std::string& text) {
        auto done = platform::run_process(spec, text, 1 << 20, kLong);
        REQUIRE(done);
        return std::pair(done->ending.exit_code, done->out);
    };
    CHECK(ask(R"({"schema":{"pattern":"^a+$"},"value":"aaa"})") == std::pair(0, std::string("{\"mistakes\":[]}\n")));
    const auto wrong = ask(R"({"schema":{"properties":{"a":{"pattern":"^a+$"}}},"value":{"a":"b"}})");
    CHECK(wrong.first == 65);
    CHECK_THAT(wrong.second, Catch::Contains("/a: "));
    const auto none = ask(R"({"schema":{"pattern":"("},"value":1})");
    CHECK(none.first == 65);
    CHECK((*parse_json(none.second))["error"]["code"].as_string() == "invalid");
    CHECK(ask("{").first == 70);
}
