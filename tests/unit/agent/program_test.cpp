// The real programs (agent, keeper, broker, runner in its sandbox) against a factory that the test plays.
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "platform/process.h"
#include "protocol/offer.h"
#include "platform/base/mailbox.h"
#include "tests/unit/agent/fake_factory.h"
#include "workflows/package.h"

using namespace mill;
using namespace std::chrono_literals;
using mill::test::FakeFactory;
using mill::test::TemporaryFolder;

namespace {

std::string program(const std::string& name)
{
    const char* folder = std::getenv("MILL_BIN");
    REQUIRE(folder != nullptr);
    return std::string(folder) + "/" + name;
}

/// Children of a process whose command line contains `word`.
std::vector<int> children(std::int64_t parent, const std::string& word)
{
    std::vector<int> out;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        std::ifstream status(entry.path() / "status"), line(entry.path() / "cmdline");
        std::string text, command;
        std::getline(line, command);
        bool ours = false;
        while (std::getline(status, text)) ours = ours || text == "PPid:\t" + std::to_string(parent);
        if (ours && command.find(word) != std::string::npos) out.push_back(std::stoi(name));
    }
    return out;
}

struct World {
    TemporaryFolder folder;
    FakeFactory factory;
    std::string package;
    std::unique_ptr<platform::Process> agent;
    Mailbox<Json> finals;

    explicit World(const std::string& workflow, const std::string& policy = "unsigned: true\n")
    {
        std::filesystem::permissions(folder.path, std::filesystem::perms::owner_all);
        factory.enrolled(folder.path);
        REQUIRE(platform::write_file(folder.path + "/policy.yaml", policy));
        const std::string file = folder.path + "/flow.yaml";
        REQUIRE(platform::write_file(file, "document: { dsl: 1.0.3, namespace: test, name: flow, version: 1.0.0 }\ndo:\n" + workflow));
        auto bytes = workflows::pack(file);
        REQUIRE(bytes);
        package = std::move(*bytes);
        factory.on("/agent/v1/packages/" + workflows::package_digest(package), [this](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
            reply.body = package;
            return true;
        });
        factory.on("/agent/v1/events", [this](const factory::HttpCall&, const Json& body, factory::HttpReply&) {
            for (const Json& attempt : body["attempts"].as_array())
                for (const Json& event : attempt["events"].as_array())
                    if (event["kind"] == Json("state") && event["body"].contains("reason")) finals.try_send(event["body"]);
            return false;
        });
    }
    void start()
    {
        platform::ProcessSpec spec;
        spec.program = program("millwright-agent");
        spec.arguments = {"run", "--data", folder.path};
        spec.environment = {{"PATH", "/usr/bin:/bin"}};
        spec.inherit_output = true;
        auto started = platform::start_process(spec);
        REQUIRE(started);
        agent = std::move(*started);
        factory.request("/agent/v1/offers");
    }
    void offer(const std::string& job)
    {
        protocol::Offer offer;
        offer.id = {job, 1, 1};
        offer.package_name = "flow";
        offer.package_version = "1.0.0";
        offer.package_digest = workflows::package_digest(package);
        offer.workflow = "main";
        offer.deployment = offer.trigger = "flow";
        offer.environment = "default";
        offer.input = Json::object({{"n", 41}});
        offer.variables = Json::object();
        offer.credentials = Json::object();
        offer.attempt_token = "mw_attempt_1";
        factory.offer(Json::object({{"offers", Json::array({to_json(offer)})}}));
    }
    Json final(std::chrono::seconds wait = 20s)
    {
        auto body = finals.receive_for(wait);
        REQUIRE(body);
        return *body;
    }
    ~World()
    {
        if (!agent) return;
        agent->signal(SIGTERM);
        (void)agent->wait(15s);
    }
};

}  // namespace

TEST_CASE("an offered job runs in its sandbox and its report arrives whole and in order", "[program]")
{
    World world("  - add: { set: { n: '${ .n + 1 }' } }\n");
    world.start();
    world.offer("job-1");
    const Json body = world.final();
    CHECK(body["state"] == Json("successful"));
    CHECK(body["output"]["n"] == Json(42));
    CHECK(world.factory.until([](auto& f) { return f.events["job-1"].size() >= 3; }));
}

TEST_CASE("killing the agent's process ends no job: its runner goes on and nothing is missing in the report", "[program]")
{
    World world("  - one: { wait: { milliseconds: 700 } }\n  - two: { wait: { milliseconds: 700 } }\n  - add: { set: { n: '${ .n + 1 }' } }\n");
    world.start();
    world.offer("job-1");
    REQUIRE(world.factory.until([](auto& f) { return !f.events["job-1"].empty(); }));  // it runs
    for (int kill = 0; kill < 2; ++kill) {
        const auto pids = children(world.agent->id(), "serve");
        REQUIRE(pids.size() == 1);
        ::kill(pids.front(), SIGKILL);
        const std::size_t sessions = world.factory.count("/agent/v1/session");
        world.factory.request("/agent/v1/session", sessions + 1);
    }
    const Json body = world.final();
    CHECK(body["state"] == Json("successful"));
    CHECK(body["output"]["n"] == Json(42));
}

TEST_CASE("a package whose bytes do not match its digest is never run", "[program]")
{
    World world("  - add: { set: { n: 1 } }\n");
    world.start();
    world.factory.on("/agent/v1/packages/" + workflows::package_digest(world.package), [right = world.package](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
        reply.body = right + "x";
        return true;
    });
    world.offer("job-1");
    const Json body = world.final();
    CHECK(body["state"] == Json("failed"));
    CHECK(body["reason"] == Json("invalid_package"));
    CHECK_THAT(body["error"]["detail"].as_string(), Catch::Contains("flow 1.0.0") && Catch::Contains("digest"));
}

TEST_CASE("what this machine's policy does not admit is refused by name", "[program]")
{
    World world("  - add: { set: { n: 1 } }\n", "unsigned: true\npackages: [ other ]\n");
    world.start();
    world.offer("job-1");
    const Json body = world.final();
    CHECK(body["reason"] == Json("refused"));
    CHECK_THAT(body["error"]["detail"].as_string(), Catch::Contains("package flow is not in"));
}

TEST_CASE("SIGTERM cancels what runs, reports it, says goodbye and ends with 0", "[program]")
{
    World world("  - pause: { wait: { seconds: 60 } }\n");
    world.start();
    world.offer("job-1");
    REQUIRE(world.factory.until([](auto& f) { return !f.events["job-1"].empty(); }));
    world.agent->signal(SIGTERM);
    const auto ending = world.agent->wait(15s);
    REQUIRE(ending);
    CHECK(ending->exit_code == 0);
    CHECK(ending->signal == 0);
    const Json body = world.final();
    CHECK(body["state"] == Json("cancelled"));
    CHECK(body["evidence"]["by"] == Json("agent"));
    CHECK(world.factory.count("/agent/v1/goodbye") == 1);
    CHECK(children(world.agent->id(), "").empty());
    world.agent.reset();
}
