// The real keeper with stand-ins for the programs around it, and real sandboxes.
#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agent/keeper/messages.h"
#include "platform/files.h"
#include "platform/process.h"
#include "platform/sandbox.h"

using namespace mill;
using namespace mill::platform;
using namespace std::chrono_literals;
using keeper::Words;

namespace {

struct Stage {
    std::string folder, data;

    Stage()
    {
        char name[] = "/tmp/mill-keeper-XXXXXX";
        folder = mkdtemp(name);
        chmod(folder.c_str(), 0755);
        data = folder + "/data";
        REQUIRE(make_folder(data));
        REQUIRE(write_file(data + "/package", "not opened by the stand-ins", 0600));
        const std::string bin = std::getenv("MILL_BIN") != nullptr ? std::getenv("MILL_BIN") : program_folder() + "/../bin";
        std::filesystem::copy_file(bin + "/millwright-keeper", folder + "/millwright-keeper");
        for (const char* program : {"agent", "broker", "runner"})
            std::filesystem::copy_file(program_folder() + "/keeper_fakes", folder + "/millwright-" + program);
    }
    ~Stage() { (void)remove_tree(folder); }

    ProcessSpec keeper() const
    {
        ProcessSpec spec;
        spec.program = folder + "/millwright-keeper";
        spec.arguments = {"--data", data};
        spec.environment = environment_for_children();
        return spec;
    }
};

bool no_sandbox_here()
{
    const std::string problem = find_isolation().problem;
    if (problem.empty()) return false;
    WARN("SKIP: no sandbox on this machine: " << problem);
    return true;
}

/// What the stand-in of a runner answers; empty when nothing came.
std::string said(Channel& job)
{
    const auto answer = job.receive(5s);
    return answer && *answer ? (*answer)->text : "";
}

/// The test in the agent's place, as `millwright-agent once` is.
struct Once {
    Channel channel;
    std::unique_ptr<Process> keeper;

    explicit Once(const Stage& stage)
    {
        auto ends = Channel::pair();
        REQUIRE(ends);
        const Handle inside = std::move(ends->second).take_handle();
        ProcessSpec spec = stage.keeper();
        spec.arguments = {"--once"};
        spec.handles.emplace_back(3, &inside);
        auto started = start_process(spec);
        REQUIRE(started);
        keeper = std::move(*started);
        channel = std::move(ends->first);
    }
    void say(const Words& words) { REQUIRE(channel.send(keeper::encode(words))); }
    /// The next words that are not about the broker.
    std::pair<Words, Handle> hear()
    {
        while (true) {
            auto message = channel.receive(10s);
            REQUIRE((message && *message));
            const Words words = *keeper::decode((*message)->text);
            if (words.at(0) != "broker") return {words, std::move((*message)->handle)};
        }
    }
};

std::string request_for(const Stage& stage, std::uint64_t time_ms = 0)
{
    keeper::SandboxRequest request;
    request.package_path = stage.data + "/package";
    request.time_ms = time_ms;
    return keeper::encode(request);
}

}  // namespace

TEST_CASE("a crashed agent finds its runner and its broker again, and a stop ends it all", "[keeper]")
{
    if (no_sandbox_here()) return;
    const Stage stage;
    auto keeper = start_process(stage.keeper());
    REQUIRE(keeper);
    const auto ending = (*keeper)->wait(30s);
    const std::string log = read_file(stage.data + "/log", 10'000).value_or("no log");
    INFO(log);
    REQUIRE(ending);
    CHECK(ending->exit_code == 0);
    CHECK(log == "broker hears hello\nrunner: one\njob.1.1 e1\nagain: conflict\nanother broker\n"
                 "held job.1.1\ngone\nrunner: two\njob.1.1 again crashed broker\nended 7\nstill job.1.1 7\nlisted\nrunner: alive\nkilled 9 killed\nisolation\nrefused not found\n");
}

TEST_CASE("a keeper for one run ends with its starter and takes the runner along", "[keeper]")
{
    if (no_sandbox_here()) return;
    const Stage stage;
    Once once(stage);
    once.say({"start", "local.1.1", request_for(stage)});
    auto [words, handle] = once.hear();
    REQUIRE(words.at(0) == "started");
    Channel job = Channel::from(std::move(handle));
    REQUIRE(job.send("hello"));
    CHECK(said(job) == "runner: hello");
    once.channel = Channel();
    const auto ending = once.keeper->wait(5s);
    REQUIRE(ending);
    CHECK(ending->exit_code == 0);
    const auto gone = job.receive(2s);
    REQUIRE_FALSE(gone);
    CHECK(gone.error().code == Errc::unavailable);
}

TEST_CASE("a runner that was started ahead serves the same request once, and no other", "[keeper]")
{
    if (no_sandbox_here()) return;
    const Stage stage;
    Once once(stage);
    const auto started = [&](const std::string& key, const std::string& request) {
        once.say({"start", key, request});
        auto [words, handle] = once.hear();
        REQUIRE(words.at(0) == "started");
        CHECK(words.at(1) == key);
        return std::pair{words.at(2), Channel::from(std::move(handle))};
    };
    const auto age = [](Channel& job) {
        REQUIRE(job.send("age"));
        const auto answer = job.receive(5s);
        REQUIRE((answer && *answer));
        return std::chrono::milliseconds(std::stol((*answer)->text));
    };
    const auto waiting = [&] {  // the keeper's children are the runners' bubblewraps, and the broker
        const std::string children = read_file(fmt::format("/proc/{}/task/{}/children", once.keeper->id(), once.keeper->id()), 4096).value_or("");
        return std::count(children.begin(), children.end(), ' ') - 1;
    };
    const std::string request = request_for(stage);
    auto [first_nonce, first] = started("job.1.1", request);
    CHECK(age(first) < 1s);
    once.say({"warm", request, "2"});
    for (int i = 0; i < 500 && waiting() < 3; ++i) std::this_thread::sleep_for(10ms);
    CHECK(waiting() == 3);
    std::this_thread::sleep_for(1500ms);

    auto [nonce, job] = started("job.2.1", request);
    CHECK(age(job) > 1200ms);
    CHECK(nonce.size() == 32);
    CHECK(nonce != first_nonce);
    CHECK(waiting() >= 3);  // both jobs, the one that is left, and soon another

    auto [other_nonce, other] = started("job.3.1", request_for(stage, 7000));
    CHECK(age(other) < 1s);

    // The package's name leads to another file now: what was mounted is not what is asked for.
    for (int i = 0; i < 500 && waiting() < 5; ++i) std::this_thread::sleep_for(10ms);
    std::this_thread::sleep_for(1500ms);
    REQUIRE(write_file(stage.data + "/new", "another file", 0600));
    std::filesystem::rename(stage.data + "/new", stage.data + "/package");
    auto [changed_nonce, changed] = started("job.4.1", request);
    CHECK(age(changed) < 1s);

    once.say({"warm", request, "0"});
    for (int i = 0; i < 500 && waiting() != 4; ++i) std::this_thread::sleep_for(10ms);
    CHECK(waiting() == 4);
}

TEST_CASE("a runner that ends while it waits for a job is not handed out", "[keeper]")
{
    if (no_sandbox_here()) return;
    const Stage stage;
    Once once(stage);
    once.say({"warm", request_for(stage), "1"});
    const auto children = [&] { return read_file(fmt::format("/proc/{}/task/{}/children", once.keeper->id(), once.keeper->id()), 4096).value_or(""); };
    for (int i = 0; i < 500 && children().empty(); ++i) std::this_thread::sleep_for(10ms);
    std::this_thread::sleep_for(200ms);
    const int bubblewrap = std::atoi(children().c_str());
    REQUIRE(bubblewrap > 1);
    REQUIRE(kill(bubblewrap, SIGKILL) == 0);
    // A signal is delivered when its process runs next: until then nobody can know that it ends.
    const auto ended = [&] {
        const std::string stat = read_file(fmt::format("/proc/{}/stat", bubblewrap), 4096).value_or("");
        const auto name_end = stat.rfind(')');
        return name_end == std::string::npos || stat.substr(name_end).substr(0, 3) == ") Z";
    };
    for (int i = 0; i < 500 && !ended(); ++i) std::this_thread::sleep_for(10ms);
    REQUIRE(ended());
    once.say({"start", "local.1.1", request_for(stage)});
    auto [words, handle] = once.hear();
    REQUIRE(words.at(0) == "started");
    Channel job = Channel::from(std::move(handle));
    REQUIRE(job.send("hello"));
    CHECK(said(job) == "runner: hello");
}

TEST_CASE("killing the keeper ends its runners", "[keeper]")
{
    if (no_sandbox_here()) return;
    const Stage stage;
    Once once(stage);
    once.say({"start", "local.1.1", request_for(stage)});
    auto [words, handle] = once.hear();
    REQUIRE(words.at(0) == "started");
    Channel job = Channel::from(std::move(handle));
    REQUIRE(job.send("hello"));
    CHECK(said(job) == "runner: hello");
    kill(static_cast<pid_t>(once.keeper->id()), SIGKILL);
    REQUIRE(once.keeper->wait(5s));
    const auto gone = job.receive(5s);
    REQUIRE_FALSE(gone);
    CHECK(gone.error().code == Errc::unavailable);
}

TEST_CASE("words that are nonsense do not end the keeper", "[keeper]")
{
    if (no_sandbox_here()) return;
    const Stage stage;
    Once once(stage);
    once.say({});
    once.say({"dance"});
    once.say({"start"});
    once.say({"start", "local.1.1", "no request"});
    CHECK(once.hear().first.at(0) == "refused");
    once.say({"kill", "nobody"});
    once.say({"forget", "nobody"});
    once.say({"list"});
    CHECK(once.hear().first.at(0) == "listed");
}

TEST_CASE("the keeper stops on SIGTERM even when the agent does not heed it", "[keeper]")
{
    const Stage stage;
    std::filesystem::remove(stage.folder + "/millwright-agent");
    REQUIRE(write_file(stage.folder + "/millwright-agent", "#!/bin/sh\necho up > " + stage.data + "/up\nexec sleep 60\n", 0755));
    auto keeper = start_process(stage.keeper());
    REQUIRE(keeper);
    for (int i = 0; i < 200 && !exists(stage.data + "/up"); ++i) (void)(*keeper)->wait(20ms);
    (*keeper)->signal(SIGTERM);
    const auto ending = (*keeper)->wait(10s);
    REQUIRE(ending);
    CHECK(ending->exit_code == 0);
}

TEST_CASE("an agent that cannot work for its configuration is not started again and again", "[keeper]")
{
    const Stage stage;
    std::filesystem::remove(stage.folder + "/millwright-agent");
    REQUIRE(write_file(stage.folder + "/millwright-agent", "#!/bin/sh\necho x >> " + stage.data + "/starts\nexit 78\n", 0755));
    auto keeper = start_process(stage.keeper());
    REQUIRE(keeper);
    CHECK((*keeper)->wait(10s)->exit_code == 78);
    CHECK(read_file(stage.data + "/starts", 100).value_or("") == "x\n");
}

TEST_CASE("a wrong command line is refused with its usage", "[keeper]")
{
    const Stage stage;
    for (const std::vector<std::string>& arguments : {std::vector<std::string>{}, {"--nonsense"}, {"--data"}, {"--once", "--data", "/x"}}) {
        ProcessSpec spec = stage.keeper();
        spec.arguments = arguments;
        const auto done = run_process(spec, "", 1000, 5s);
        REQUIRE(done);
        CHECK(done->ending.exit_code == 64);
        CHECK_THAT(done->err, Catch::Contains("usage:"));
    }
}
