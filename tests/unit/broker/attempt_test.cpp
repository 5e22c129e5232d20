#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "agent/broker/attempt.h"
#include "platform/confine_files.h"
#include "tests/unit/broker/loopback_server.h"
#include "tests/unit/broker/temp_folder.h"

using namespace mill;
using broker::Attempt;

namespace {

struct Bench {
    broker::Budget own;
    platform::Channel runner;
    Attempt attempt;

    explicit Bench(bool again = false, broker::Budget* shared = nullptr) : attempt("job.1.1", shared != nullptr ? *shared : own)
    {
        auto pair = platform::Channel::pair();
        REQUIRE(pair);
        runner = std::move(pair->first);
        attempt.attach(std::move(pair->second), again);
    }
    void open(Json permissions) { attempt.open(*broker::make_grants(permissions, Json::object())); }
    void say(std::string_view text) { REQUIRE(runner.send(text)); }
    void call(int id, std::string effect, Json with, int timeout = 20'000)
    {
        say(dump_json(Json::object({{"id", id}, {"effect", std::move(effect)}, {"with", std::move(with)}, {"timeoutMs", timeout}})));
    }
    Json hear()
    {
        auto message = runner.receive(Milliseconds(20'000));
        REQUIRE(message);
        REQUIRE(*message);
        return *parse_json((*message)->text);
    }
};

}  // namespace

TEST_CASE("a call is answered by its number", "[broker][attempt]")
{
    Bench bench;
    bench.open(Json::object({{"commands", Json::array({"sh"})}}));
    bench.call(7, "command.start", Json::object({{"path", "sh"}}));
    const Json answer = bench.hear();
    CHECK(answer["id"].as_integer() == 7);
    CHECK_THAT(answer["result"]["path"].as_string(), Catch::EndsWith("/sh"));
}

TEST_CASE("a call that comes before the grants waits for them", "[broker][attempt]")
{
    Bench bench;
    bench.call(1, "command.start", Json::object({{"path", "sh"}}));
    CHECK_FALSE(bench.runner.receive(Milliseconds(50))->has_value());
    bench.open(Json::object({{"commands", Json::array({"sh"})}}));
    CHECK(bench.hear().contains("result"));
}

TEST_CASE("a call without grants ends at its deadline", "[broker][attempt]")
{
    Bench bench;
    bench.call(1, "command.start", Json::object({{"path", "sh"}}), 100);
    CHECK(bench.hear()["error"]["type"].as_string() == "timeout");
}

TEST_CASE("a new broker says so first", "[broker][attempt]")
{
    Bench bench(true);
    CHECK(bench.hear()["reset"].as_bool());
}

TEST_CASE("a flood of calls is refused above the bound, and the first ones are still served", "[broker][attempt]")
{
    Bench bench;
    const int flood = 500;
    // From a thread of its own, as a runner does: two peers that only send fill both ways and wait for each other.
    std::atomic<int> sent = 0;
    std::jthread sender([&] {
        for (int id = 1; id <= flood; ++id)
            if (bench.runner.send(dump_json(Json::object({{"id", id}, {"effect", "command.start"}, {"with", Json::object({{"path", "sh"}})}, {"timeoutMs", 20'000}})))) ++sent;
    });
    std::set<std::int64_t> refused;
    for (int i = 0; i < flood - static_cast<int>(broker::kMaxOpenCalls); ++i) {
        const Json answer = bench.hear();
        CHECK(answer["error"]["status"].as_integer() == 429);
        refused.insert(answer["id"].as_integer());
    }
    sender.join();
    REQUIRE(sent == flood);
    CHECK(*refused.begin() == static_cast<std::int64_t>(broker::kMaxOpenCalls) + 1);
    bench.open(Json::object({{"commands", Json::array({"sh"})}}));
    for (std::size_t i = 0; i < broker::kMaxOpenCalls; ++i) CHECK(bench.hear().contains("result"));
}

TEST_CASE("calls that wait for a slow server do not hold up a quick one of another job, nor their own deadlines", "[broker][attempt]")
{
    LoopbackServer silent("");
    const Json permissions = Json::object({{"network", Json::array({"http://127.0.0.1:*"})}, {"commands", Json::array({"sh"})}});
    Bench slow, quick;
    slow.open(permissions);
    quick.open(permissions);
    for (int id = 1; id <= 40; ++id) slow.call(id, "http.request", Json::object({{"method", "get"}, {"uri", silent.url()}}), 1000);
    quick.call(1, "command.start", Json::object({{"path", "sh"}}));
    CHECK(quick.hear().contains("result"));
    for (int id = 1; id <= 40; ++id) CHECK(slow.hear()["error"]["type"].as_string() == "timeout");
}

TEST_CASE("a cancelled call is not answered", "[broker][attempt]")
{
    LoopbackServer silent("");
    Bench bench;
    bench.open(Json::object({{"network", Json::array({"http://127.0.0.1:*"})}, {"commands", Json::array({"sh"})}}));
    bench.call(1, "http.request", Json::object({{"method", "get"}, {"uri", silent.url()}}), 600);
    bench.say(R"({"cancel":1})");
    bench.call(2, "command.start", Json::object({{"path", "sh"}}));
    CHECK(bench.hear()["id"].as_integer() == 2);
    CHECK_FALSE(bench.runner.receive(Milliseconds(800))->has_value());
}

TEST_CASE("cancelling a call that is under way cuts its connection", "[broker][attempt]")
{
    LoopbackServer silent("");
    Bench bench;
    bench.open(Json::object({{"network", Json::array({"http://127.0.0.1:*"})}}));
    bench.call(1, "http.request", Json::object({{"method", "post"}, {"uri", silent.url()}, {"bodyText", "x"}}));
    const auto within = [](auto holds) {
        for (const auto until = system_clock().steady() + Milliseconds(10'000); system_clock().steady() < until;) {
            if (holds()) return true;
            ::poll(nullptr, 0, 10);
        }
        return false;
    };
    REQUIRE(within([&] { return silent.requests().size() == 1; }));
    CHECK(silent.gone() == 0);
    bench.say(R"({"cancel":1})");
    CHECK(within([&] { return silent.gone() == 1; }));
    CHECK_FALSE(bench.runner.receive(Milliseconds(50))->has_value());
}

TEST_CASE("malformed messages are answered, and too many of them end the channel", "[broker][attempt]")
{
    Bench bench;
    for (int i = 0; i < broker::kMaxViolations; ++i) {
        bench.say(i % 2 == 0 ? "{" : R"({"id":"x"})");
        CHECK(bench.hear()["error"]["type"].as_string() == "validation");
    }
    bench.call(1, "command.start", Json::object({{"path", "sh"}}));
    auto after = bench.runner.receive(Milliseconds(300));
    CHECK((!after || !after->has_value()));
}

TEST_CASE("a number that is in use is refused", "[broker][attempt]")
{
    Bench bench;
    bench.call(1, "command.start", Json::object({{"path", "sh"}}));
    bench.call(1, "command.start", Json::object({{"path", "sh"}}));
    CHECK(bench.hear()["error"]["status"].as_integer() == 429);
}

TEST_CASE("closing takes the grants away", "[broker][attempt]")
{
    Bench bench;
    bench.open(Json::object({{"commands", Json::array({"sh"})}}));
    CHECK(bench.attempt.opened());
    bench.attempt.close();
    CHECK_FALSE(bench.attempt.opened());
    bench.call(1, "command.start", Json::object({{"path", "sh"}}), 100);
    CHECK(bench.hear()["error"]["type"].as_string() == "timeout");
}

TEST_CASE("a runner that goes away in the middle leaves nothing behind", "[broker][attempt]")
{
    LoopbackServer silent("");
    Bench bench;
    bench.open(Json::object({{"network", Json::array({"http://127.0.0.1:*"})}}));
    for (int id = 1; id <= 10; ++id) bench.call(id, "http.request", Json::object({{"method", "get"}, {"uri", silent.url()}}), 600'000);
    bench.runner = {};
    SUCCEED("the destructor returns");
}

TEST_CASE("a worker is confined to the granted files by the system, too, and other grants get other workers", "[broker][attempt]")
{
    const TempFolder first, second;
    std::ofstream(first.path() + "/a") << "one";
    std::ofstream(second.path() + "/b") << "two";
    const auto reading = [](const std::string& folder) { return Json::object({{"files", Json::object({{"read", Json::array({folder})}})}}); };
    // Who has confined itself can gain nothing by a program's rights any more: that shows from outside.
    const auto confined = [](const std::filesystem::path& task) {
        std::ifstream status(task / "status");
        for (std::string line; std::getline(status, line);)
            if (line == "NoNewPrivs:\t1") return true;
        return false;
    };
    const auto count = [&] {
        const std::filesystem::directory_iterator tasks("/proc/self/task"), end;
        return std::count_if(tasks, end, [&](const auto& task) { return confined(task.path()); });
    };
    const auto before = count();
    Bench bench;
    bench.open(reading(first.path()));
    bench.call(1, "file.read", Json::object({{"path", first.path() + "/a"}}));
    CHECK(bench.hear()["result"]["content"].as_string() == "one");
    if (!confined("/proc/thread-self")) CHECK(count() == before + (platform::can_confine_files() > 0 ? 1 : 0));  // its spare is not
    bench.call(2, "file.read", Json::object({{"path", second.path() + "/b"}}));
    CHECK(bench.hear()["error"]["status"].as_integer() == 403);
    bench.open(reading(second.path()));
    for (int id = 3; id < 30; ++id) {
        bench.call(id, "file.read", Json::object({{"path", second.path() + "/b"}}));
        CHECK(bench.hear()["result"]["content"].as_string() == "two");
    }
    bench.call(40, "file.read", Json::object({{"path", first.path() + "/a"}}));
    CHECK(bench.hear()["error"]["status"].as_integer() == 403);
}

TEST_CASE("a runner that calls without pause is slowed down, not refused", "[broker][attempt]")
{
    Bench bench;
    bench.open(Json::object({{"commands", Json::array({"sh"})}}));
    const auto begin = std::chrono::steady_clock::now();
    const int calls = static_cast<int>(broker::kCallsAtOnce + broker::kCallsPerSecond);
    for (int id = 1; id <= calls; ++id) {
        bench.call(id, "command.start", Json::object({{"path", "sh"}}));
        if (!bench.hear().contains("result")) FAIL("call " << id);
    }
    CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(950));  // what is above the first ones takes its second
}

TEST_CASE("the calls of all jobs together have a bound, and what ends gives its room back", "[broker][attempt]")
{
    broker::Budget all;
    all.most = 2'000'000;
    Bench first(false, &all), second(false, &all);  // no grants yet: calls wait
    const std::string filler(1'500'000, 'x');
    const auto fill = [&](Bench& bench, int id) { bench.call(id, "file.write", Json::object({{"path", "/x"}, {"content", filler}}), 600'000); };
    fill(first, 1);
    while (all.bytes == 0) std::this_thread::yield();
    fill(second, 1);
    const Json refused = second.hear();
    CHECK(refused["error"]["status"].as_integer() == 429);
    CHECK_THAT(refused["error"]["detail"].as_string(), Catch::Contains("all jobs"));
    first.say(R"({"cancel":1})");
    while (all.bytes != 0) std::this_thread::yield();
    fill(second, 2);
    while (all.bytes == 0) std::this_thread::yield();
    second.attempt.close();
    CHECK(all.bytes == 0);
}

TEST_CASE("a granted file that is replaced while the job runs, or comes later, is read all the same", "[broker][attempt]")
{
    const TempFolder folder;
    const std::string path = folder.path() + "/data", later = folder.path() + "/later/file";
    std::ofstream(path) << "one";
    Bench bench;
    bench.open(Json::object({{"files", Json::object({{"read", Json::array({path, later})}})}}));
    bench.call(1, "file.read", Json::object({{"path", path}}));
    CHECK(bench.hear()["result"]["content"].as_string() == "one");
    std::ofstream(folder.path() + "/new") << "two";
    std::filesystem::rename(folder.path() + "/new", path);
    bench.call(2, "file.read", Json::object({{"path", path}}));
    CHECK(bench.hear()["result"]["content"].as_string() == "two");
    std::filesystem::create_directory(folder.path() + "/later");
    std::ofstream(later) << "three";
    bench.call(3, "file.read", Json::object({{"path", later}}));
    CHECK(bench.hear()["result"]["content"].as_string() == "three");
    std::ofstream(folder.path() + "/beside") << "no";
    bench.call(4, "file.read", Json::object({{"path", folder.path() + "/beside"}}));
    CHECK(bench.hear()["error"]["status"].as_integer() == 403);
}

TEST_CASE("a granted folder that is replaced while the job runs is read all the same, by a worker that was free yet", "[broker][attempt]")
{
    const TempFolder folder;
    const std::string in = folder.path() + "/in";
    const auto put = [&](const std::string& text) {
        std::filesystem::create_directory(folder.path() + "/next");
        std::ofstream(folder.path() + "/next/a") << text;
        std::filesystem::remove_all(in);
        std::filesystem::rename(folder.path() + "/next", in);
    };
    put("0");
    Bench bench;
    bench.open(Json::object({{"files", Json::object({{"read", Json::array({in})}})}}));
    int id = 0;
    for (int round = 0; round < 40; ++round) {  // more than there may be workers
        put(std::to_string(round));
        for (int i = 0; i < 3; ++i) bench.call(++id, "file.read", Json::object({{"path", in + "/a"}}));
        for (int i = 0; i < 3; ++i) CHECK(bench.hear()["result"]["content"].as_string() == std::to_string(round));
    }
}

TEST_CASE("each effect works on a granted folder and on a granted file as the confinement leaves them", "[broker][attempt]")
{
    const TempFolder folder, out;
    std::filesystem::create_directories(folder.path() + "/in/deep");
    std::ofstream(folder.path() + "/in/a") << "one";
    std::ofstream(folder.path() + "/in/deep/b") << "two";
    std::ofstream(folder.path() + "/file") << "three";
    Bench bench;
    bench.open(Json::object({{"files", Json::object({{"read", Json::array({folder.path() + "/in", folder.path() + "/file"})}, {"write", Json::array({out.path() + "/to", out.path() + "/one.txt"})}})}}));
    std::filesystem::create_directories(out.path() + "/to");
    int id = 0;
    const auto result = [&](std::string effect, Json with) {
        bench.call(++id, std::move(effect), std::move(with));
        const Json answer = bench.hear();
        INFO(dump_json(answer));
        CHECK(answer.contains("result"));
        return answer["result"];
    };
    CHECK(result("file.list", Json::object({{"path", folder.path() + "/in"}, {"recursive", true}}))["entries"].as_array().size() == 3);
    CHECK(result("file.read", Json::object({{"path", folder.path() + "/file"}}))["content"] == Json("three"));
    for (const std::string source : {"/in", "/in/deep", "/in/a", "/file"})
        result("archive.create", Json::object({{"source", folder.path() + source}, {"target", out.path() + "/to/" + std::to_string(id) + ".zip"}}));
    for (const char* mode : {"create", "append", "replace"}) {
        result("file.write", Json::object({{"path", out.path() + "/to/x"}, {"content", "x"}, {"mode", mode}}));
        result("file.write", Json::object({{"path", out.path() + "/one.txt"}, {"content", "x"}, {"mode", mode}}));
    }
    result("file.list", Json::object({{"path", out.path() + "/to"}}));
}
