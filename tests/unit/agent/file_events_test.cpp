// Files that the factory does not take: its triggers stand for themselves.
#include <fstream>

#include "agent/files/file_events.h"
#include "tests/unit/agent/fake_factory.h"

using namespace mill;
using namespace mill::test;
using namespace std::chrono_literals;

namespace {

/// Two triggers look for the files of one folder; the test says what the factory answers to the first.
struct Watching {
    TemporaryFolder folder;
    FakeFactory factory;
    agent::Config config;
    agent::Identity identity = factory.enrolled(folder.path);
    agent::Tokens tokens{identity, config, system_clock()};
    agent::FactoryClient client{identity, config, tokens};
    std::string in = folder.path + "/in";
    agent::FileEvents events{{folder.path, {folder.path}, system_clock(), client, 200ms}};
    std::map<std::string, int> reports, jobs;   // of a trigger; guarded by `mutex`
    std::mutex mutex;
    std::string problem;
    std::jthread thread;

    explicit Watching(int status, const std::string& name, const std::string& path = "")
    {
        std::filesystem::create_directories(in);
        factory.on("/agent/v1/files", [this, status, name](const factory::HttpCall&, const Json& body, factory::HttpReply& reply) {
            const std::scoped_lock lock(mutex);
            const std::string trigger = body["trigger"].as_string();
            ++reports[trigger];
            if (trigger == "first") {
                reply.status = status;
                reply.body = dump_json(Json::object({{"type", "urn:millwright:problem:" + name}, {"detail", "it is private"}}));
            } else {
                ++jobs[trigger];
                reply.body = R"({"job":"j"})";
            }
            return true;
        });
        factory.on("/agent/v1/watches", [this](const factory::HttpCall&, const Json& body, factory::HttpReply& reply) {
            const std::scoped_lock lock(mutex);
            for (const Json& one : body["watches"].as_array())
                if (one["trigger"].as_string() == "first") problem = one["problem"].as_string();
            reply.body = "{}";
            return true;
        });
        const auto watch = [](const char* trigger, const std::string& where) { return Json::object({{"trigger", trigger}, {"path", where}, {"settledMs", 100}}); };
        events.set(Json::object({{"version", "1"}, {"watches", Json::array({watch("first", path.empty() ? in + "/*.csv" : path), watch("second", in + "/*.csv")})}}));
        thread = std::jthread([this](std::stop_token stop) { events.run(stop, nullptr); });
    }
    ~Watching()
    {
        thread.request_stop();
        thread.join();
    }
    void put(const std::string& name) const { std::ofstream(in + "/" + name) << "x"; }
    bool until(const std::function<bool()>& test)
    {
        return factory.until([&](FakeFactory&) {
            const std::scoped_lock lock(mutex);
            return test();
        });
    }
};

}  // namespace

TEST_CASE("a trigger whose files are refused for good is told so, and the others go on", "[files]")
{
    Watching world(403, "forbidden");
    world.put("a.csv");
    CHECK(world.until([&] { return world.jobs["second"] == 1; }));
    CHECK(world.until([&] { return world.problem.find("a.csv started nothing: it is private") != std::string::npos; }));
    world.put("b.csv");
    CHECK(world.until([&] { return world.jobs["second"] == 2 && world.reports["first"] == 2; }));   // each file once
}

TEST_CASE("a trigger that the factory cannot serve now waits alone", "[files]")
{
    Watching world(503, "unavailable");
    world.put("a.csv");
    CHECK(world.until([&] { return world.jobs["second"] == 1 && world.reports["first"] >= 2; }));   // said again later
    world.put("b.csv");
    CHECK(world.until([&] { return world.jobs["second"] == 2; }));
    const std::scoped_lock lock(world.mutex);
    CHECK(world.problem.empty());
}

TEST_CASE("a folder that only its text puts within what the owner allowed is not watched", "[files]")
{
    TemporaryFolder secret;
    std::ofstream(secret.path + "/a.csv") << "x";
    const std::string name = secret.path.substr(secret.path.rfind('/') + 1);
    Watching world(200, "", "/tmp/nowhere/*.csv");
    world.events.set(Json::object({{"version", "2"}, {"watches", Json::array({Json::object({{"trigger", "first"}, {"path", world.folder.path + "/../" + name + "/*.csv"}, {"settledMs", 100}})})}}));
    CHECK(world.until([&] { return world.problem.find("/../") != std::string::npos && world.problem.find("is not in 'watch'") != std::string::npos; }));
    const std::scoped_lock lock(world.mutex);
    CHECK(world.reports["first"] == 0);
}
