// Staying when the end has come, and ending others.
#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/files.h"
#include "platform/orphan.h"
#include "tests/escape/attempt.h"

using namespace mill;
using namespace mill::escape;
using namespace mill::platform;
using namespace std::chrono_literals;

namespace {

/// A process outside of the user that sandboxes have: what it may not reach, it may not reach for no other reason.
struct Bystander {
    pid_t pid = fork();
    Bystander()
    {
        if (pid != 0) return;
        const User user = runs_as();
        if (geteuid() == 0 && (setgid(user.gid) != 0 || setuid(user.uid) != 0)) _exit(1);
        alarm(60);
        for (;;) pause();
    }
    Bystander(const Bystander&) = delete;
    Bystander& operator=(const Bystander&) = delete;
    ~Bystander()
    {
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
    }
    bool lives() const { return waitpid(pid, nullptr, WNOHANG) == 0; }
};

/// Folders of control groups that bear this name.
std::size_t groups_named(const std::string& name)
{
    std::size_t found = 0;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator entry("/sys/fs/cgroup", error), end; !error && entry != end; entry.increment(error))
        if (entry->path().filename().string() == std::to_string(getpid()) + "-" + name) ++found;
    return found;
}

/// Processes whose words hold this text, and whose name is `name`.
std::size_t processes_with(const std::string& name, const std::string& text)
{
    std::size_t found = 0;
    std::error_code error;
    for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
        const std::string folder = entry->path().string();
        if (read_file(folder + "/comm", 64).value_or("") != name + "\n") continue;
        found += read_file(folder + "/cmdline", 65536).value_or("").find(text) != std::string::npos ? 1U : 0U;
    }
    return found;
}

}  // namespace

TEST_CASE("processes outside are not signalled", "[escape]")
{
    if (no_sandbox_here()) return;
    const Bystander outsider;
    const std::string pid = std::to_string(outsider.pid);
    check({{"one by its number", {"signal", pid, "0"}, "refused ESRCH", {}, "got"}, {"its group", {"signal", "-" + pid, "15"}, "refused ESRCH", {}, "refused ESRCH"}});
    CHECK(inside({"kill-all"}).out == "got a child");  // all that it can see, and that is a child of its own
    CHECK(outsider.lives());
}

TEST_CASE("the first process of a sandbox is not ended or stopped from inside", "[escape]")
{
    if (no_sandbox_here()) return;
    for (const int number : {SIGTERM, SIGKILL, SIGSTOP}) {
        INFO("signal " << number);
        const Captured seen = inside({"signal-parent", std::to_string(number)});
        CHECK(seen.out == "got nothing");
        CHECK(seen.ending.exit_code == 0);
    }
    CHECK(inside({"signal-own-parent", "9"}).out == "got");  // one that is an ordinary process is ended
}

TEST_CASE("a sandbox is not in the group of those who started it", "[escape]")
{
    if (no_sandbox_here()) return;
    const Captured seen = inside({"kill-group"});
    CHECK(seen.out == "got");
    CHECK(seen.ending.signal == 0);
    CHECK(without({Part::session}, payload({"kill-group"})).ending.signal == SIGTERM);  // the outer half of bubblewrap
}

TEST_CASE("whatever it does, it ends when killed", "[escape]")
{
    if (no_sandbox_here()) return;
    for (const char* verb : {"bystander", "deaf", "stop", "race"}) {
        INFO(verb);
        SandboxSpec spec = payload({verb});
        const std::string name = spec.name;
        Running running(std::move(spec));
        REQUIRE(running.line() == "up\n");
        CHECK_FALSE(running.sandbox->wait(100ms));  // left alone it goes on
        CHECK_FALSE(running.all_gone(100ms));
        const bool grouped = groups_named(name) > 0;
        const auto begin = std::chrono::steady_clock::now();
        running.sandbox->kill();
        const auto ending = running.sandbox->wait(5s);
        REQUIRE(ending);
        CHECK(ending->cancelled);
        CHECK(running.all_gone(5s));
        CHECK(std::chrono::steady_clock::now() - begin < 5s);
        running.sandbox.reset();
        (void)inside({"uid"});  // a group with somebody who is just dying is removed with the next
        if (grouped) CHECK(groups_named(name) == 0);
    }
}

TEST_CASE("what it leaves behind ends with it", "[escape]")
{
    if (no_sandbox_here()) return;
    SandboxSpec spec = payload({"daemon"});  // two forks and a session of its own; it heeds no signal
    const std::string name = spec.name;
    Running running(std::move(spec));
    const auto ending = running.sandbox->wait(5s);
    REQUIRE(ending);
    CHECK(ending->exit_code == 0);
    CHECK(running.all_gone(5s));
    const auto begin = std::chrono::steady_clock::now();
    (void)outside({"daemon", "1"});  // read until nobody holds its output any more: without a sandbox that is one second later
    CHECK(std::chrono::steady_clock::now() - begin >= 900ms);
}

TEST_CASE("it ends with the process that started it", "[escape]")
{
    if (no_sandbox_here()) return;
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const Handle out(ends[0]);
    Handle in(ends[1]);
    const SandboxSpec spec = payload({"deaf"});
    const pid_t starter = fork();
    REQUIRE(starter >= 0);
    if (starter == 0) {
        SandboxSpec with = spec;
        with.handles.emplace_back(1, &in);
        const auto started = start_sandbox(with);
        if (!started) _exit(1);
        alarm(30);
        for (;;) pause();
    }
    in = Handle();
    char text[3];
    CHECK(read(out.native(), text, 3) == 3);
    kill(starter, SIGKILL);
    waitpid(starter, nullptr, 0);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(read(out.native(), text, 1) == 0);  // nobody holds it any more
    CHECK(std::chrono::steady_clock::now() - begin < 5s);  // by itself the payload ends after 20
}

TEST_CASE("a shell that heeds no signal and hides its children dies at once when killed", "[escape]")
{
    if (no_sandbox_here()) return;
    Running running(shell("trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM HUP; sleep 60' & sleep 60 & echo up; while :; do sleep 1; done"));
    REQUIRE(running.line() == "up\n");
    running.sandbox->kill();
    const auto ending = running.sandbox->wait(2s);
    REQUIRE(ending);
    CHECK(ending->cancelled);
    CHECK(running.all_gone(2s));
}

TEST_CASE("an abandoned sandbox dies with its object", "[escape]")
{
    if (no_sandbox_here()) return;
    Running running(shell("echo up; sleep 60"));
    REQUIRE(running.line() == "up\n");
    running.sandbox.reset();
    CHECK(running.all_gone(2s));
}

TEST_CASE("nothing runs unwatched when the starter is killed while it starts", "[escape]")
{
    if (no_sandbox_here()) return;
    constexpr int kTries = 150;
    const std::string mark = "early-" + std::to_string(getpid());   // in the words of each
    unsigned seed = 1;
    std::size_t blocked = 0;
    for (int i = 0; i < kTries; ++i) {
        SandboxSpec spec = payload({"deaf", mark});
        spec.lifeline = true;
        const pid_t starter = fork();
        REQUIRE(starter >= 0);
        if (starter == 0) {
            const auto started = start_sandbox(spec);
            if (!started) _exit(1);
            alarm(30);
            for (;;) pause();
        }
        usleep(static_cast<useconds_t>(rand_r(&seed) % 12'000));
        kill(starter, SIGKILL);
        waitpid(starter, nullptr, 0);
    }
    const auto runs = [&] { return processes_with("escape_payload", mark); };
    for (int i = 0; i < 100 && runs() > 0; ++i) usleep(50'000);
    CHECK(runs() == 0);   // left alone it would run for 20 s
    blocked = processes_with("bwrap", mark);
    WARN("of " << kTries << " starters killed early " << blocked << " left a half of bubblewrap that waits for ever");
    for (int i = 0; i < 100 && processes_with("bwrap", mark) > 0; ++i) {
        if (i % 20 == 0) end_orphans();   // another program that begins meanwhile does it, too; some are just being left
        usleep(50'000);
    }
    CHECK(processes_with("bwrap", mark) == 0);
}

TEST_CASE("a program that looked for its starter ends with it, whoever its parent is", "[escape]")
{
    int life[2];
    REQUIRE(pipe2(life, O_CLOEXEC) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        close(life[0]);
        alarm(30);
        if (!starter_lives(std::to_string(life[1]))) _exit(3);
        for (;;) pause();
    }
    close(life[1]);
    usleep(100'000);
    int status = 0;
    CHECK(waitpid(child, &status, WNOHANG) == 0);
    close(life[0]);
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGKILL);

    REQUIRE(pipe2(life, O_CLOEXEC) == 0);
    close(life[0]);
    CHECK_FALSE(starter_lives(std::to_string(life[1])));
    close(life[1]);
}

TEST_CASE("a sandbox that is killed while it starts leaves nothing", "[escape]")
{
    if (no_sandbox_here()) return;
    const std::string mark = "soon-" + std::to_string(getpid());
    unsigned seed = 2;
    for (int i = 0; i < 150; ++i) {
        auto sandbox = start_sandbox(payload({"deaf", mark}));
        REQUIRE(sandbox);
        usleep(static_cast<useconds_t>(rand_r(&seed) % 8'000));
        (*sandbox)->kill();
        REQUIRE((*sandbox)->wait(5s));
    }
    const auto left = [&] { return processes_with("escape_payload", mark) + processes_with("bwrap", mark); };
    for (int i = 0; i < 100 && left() > 0; ++i) usleep(50'000);
    CHECK(left() == 0);
}

TEST_CASE("somebody else's bubblewrap, and one whose starter lives, are no orphans", "[escape]")
{
    if (no_sandbox_here()) return;
    Running running(payload({"deaf"}));
    REQUIRE(running.line() == "up\n");
    end_orphans();
    CHECK_FALSE(running.sandbox->wait(200ms));
    CHECK_FALSE(running.all_gone(100ms));
}
