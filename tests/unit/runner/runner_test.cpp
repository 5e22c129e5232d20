// The real runner, and where needed the real broker, over their channels and outside the sandbox; the test is agent and keeper.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <signal.h>

#include "agent/keeper/messages.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/channel.h"
#include "platform/process.h"
#include "tests/unit/broker/temp_folder.h"
#include "workflows/package.h"

using namespace mill;
using platform::Channel;
namespace fs = std::filesystem;

namespace {

constexpr Milliseconds kLong{20'000};

std::string program(const char* name)
{
    const char* bin = std::getenv("MILL_BIN");
    REQUIRE(bin != nullptr);
    return std::string(bin) + "/" + name;
}

struct Bench {
    TempFolder folder;  // package, workspace
    Channel job, effects, keeper, agent_of_broker;
    std::unique_ptr<platform::Process> process, broker;
    std::vector<Json> events, others;
    bool acknowledge = true;

    /// `tasks`: the lines below `do:`, indented by two.
    void package(const std::string& tasks, const std::string& permissions = "")
    {
        const std::string source = folder.path() + "/source";
        fs::create_directories(source);
        fs::create_directories(folder.path() + "/work");
        std::ofstream(source + "/package.yaml") << "name: demo\nversion: 1.0.0\nworkflow: main.yaml\n" << permissions;
        std::ofstream(source + "/main.yaml") << "document: { dsl: 1.0.3, namespace: test, name: demo, version: 1.0.0 }\ndo:\n" << tasks;
        const auto bytes = workflows::pack(source);
        if (!bytes) FAIL(bytes.error().what);
        std::ofstream(folder.path() + "/demo.mwp", std::ios::binary) << *bytes;
    }

    void start(bool commands = false, bool with_broker = false, bool preload = false)
    {
        auto job_pair = Channel::pair(), effect_pair = Channel::pair();
        REQUIRE(job_pair);
        REQUIRE(effect_pair);
        job = std::move(job_pair->first);
        effects = std::move(effect_pair->first);
        const platform::Handle job_end = std::move(job_pair->second).take_handle(), effect_end = std::move(effect_pair->second).take_handle();
        if (with_broker) start_broker();
        platform::ProcessSpec spec;
        spec.program = program("millwright-runner");
        spec.arguments = {"--workspace", folder.path() + "/work"};
        if (commands) spec.arguments.push_back("--commands");
        if (preload) spec.arguments.insert(spec.arguments.end(), {"--package", folder.path() + "/demo.mwp"});
        spec.handles = {{3, &job_end}, {4, &effect_end}};
        spec.inherit_output = true;
        auto started = platform::start_process(spec);
        REQUIRE(started);
        process = std::move(*started);
        const Json ready = hear();
        CHECK(ready["ready"].as_integer() == 1);
        CHECK(ready["version"].as_integer() == 1);
    }

    void start_broker()
    {
        auto pair = Channel::pair(), agent_pair = Channel::pair();
        REQUIRE(pair);
        REQUIRE(agent_pair);
        keeper = std::move(pair->first);
        const platform::Handle end = std::move(pair->second).take_handle();
        platform::ProcessSpec spec;
        spec.program = program("millwright-broker");
        spec.handles = {{3, &end}};
        spec.inherit_output = true;
        auto started = platform::start_process(spec);
        REQUIRE(started);
        broker = std::move(*started);
        agent_of_broker = std::move(agent_pair->first);
        const platform::Handle agent_end = std::move(agent_pair->second).take_handle();
        REQUIRE(keeper.send(keeper::encode(keeper::Words{"agent"}), &agent_end));
        const platform::Handle effect_end = std::move(effects).take_handle();
        REQUIRE(keeper.send(keeper::encode(keeper::Words{"attach", "job.1.1"}), &effect_end));
    }

    void begin(Json input = Json::object(), Json grants = Json::object(), bool trace = false)
    {
        if (broker) {
            const Json open = Json::object({{"key", "job.1.1"}, {"grants", grants}, {"credentials", Json::object()}});
            REQUIRE(agent_of_broker.send(dump_json(Json::object({{"open", open}}))));
            REQUIRE(agent_of_broker.receive(kLong)->has_value());
        }
        const Json begin = Json::object({{"key", "job.1.1"}, {"workflow", "main"}, {"input", std::move(input)}, {"variables", Json::object()},
                                         {"grants", std::move(grants)}, {"firstSequence", 2}, {"package", folder.path() + "/demo.mwp"},
                                         {"events", trace}, {"trace", trace}, {"runtime", Json::object()}});
        say(Json::object({{"begin", begin}}));
    }

    void say(const Json& message) { REQUIRE(job.send(dump_json(message))); }
    Json hear()
    {
        auto message = job.receive(kLong);
        REQUIRE(message);
        REQUIRE(*message);
        return *parse_json((*message)->text);
    }

    /// Reads to the final event; returns its body.
    Json finish()
    {
        for (;;) {
            const Json message = hear();
            const Json* event = message.find("event");
            if (event == nullptr) {
                others.push_back(message);
                continue;
            }
            events.push_back(*event);
            if (acknowledge) say(Json::object({{"ack", (*event)["sequence"]}}));
            if ((*event)["kind"].as_string() == "state") return (*event)["body"];
        }
    }
    int exit_code()
    {
        const auto ended = process->wait(kLong);
        REQUIRE(ended);
        CHECK(ended->signal == 0);
        return ended->exit_code;
    }
};

const char* const kAsksForSh = "permissions: { commands: [ sh ] }\n";
const char* const kSleep = "  - nap: { wait: { seconds: 600 } }\n";

}  // namespace

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
