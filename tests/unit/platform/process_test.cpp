#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include "platform/confine_files.h"
#include "platform/process.h"
#include "tests/unit/broker/temp_folder.h"

using namespace mill;
using namespace mill::platform;
using namespace std::chrono_literals;

namespace {

// ThreadSanitizer turns vfork into fork: what goes wrong in the child is then not seen by the parent.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MILL_TEST_FORKS 1
#endif
#endif
#ifdef MILL_TEST_FORKS
constexpr bool kChildErrorsAreSeen = false;
#else
constexpr bool kChildErrorsAreSeen = true;
#endif

ProcessSpec shell(const std::string& script)
{
    ProcessSpec spec;
    spec.program = "/bin/sh";
    spec.arguments = {"-c", script};
    spec.environment = {{"PATH", "/usr/bin:/bin"}, {"GREETING", "hello"}};
    return spec;
}

}  // namespace

TEST_CASE("a child's output, error text and exit code come back", "[platform][process]")
{
    const auto done = run_process(shell("cat; echo $GREETING; echo wrong >&2; exit 3"), "input ", 1000, 5s);
    REQUIRE(done);
    CHECK(done->out == "input hello\n");
    CHECK(done->err == "wrong\n");
    CHECK(done->ending.exit_code == 3);
    CHECK(done->ending.signal == 0);
}

TEST_CASE("a child has our environment only when we give it, and no descriptor of ours", "[platform][process]")
{
    const Handle secret(open("/etc/hostname", O_RDONLY));  // deliberately not close-on-exec
    const auto done = run_process(shell("env | sort; ls /proc/self/fd"), "", 10'000, 5s);
    REQUIRE(done);
    CHECK(done->out.starts_with("GREETING=hello\nPATH=/usr/bin:/bin\nPWD=/\n"));
    CHECK(done->out.ends_with("\n0\n1\n2\n3\n"));  // 3 is the folder that ls reads
}

TEST_CASE("descriptors land on exactly the numbers asked for, even crosswise", "[platform][process]")
{
    int a[2], b[2];
    REQUIRE((pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0));
    const Handle read_a(a[0]), write_a(a[1]), read_b(b[0]), write_b(b[1]);
    ProcessSpec spec = shell("echo to-a >&$A; echo to-b >&$B");
    // each goes to the number that the other has here
    spec.environment["A"] = std::to_string(write_b.native() % 10 == 0 ? 9 : 7);
    spec.environment["B"] = std::to_string(5);
    spec.handles = {{std::stoi(spec.environment["A"]), &write_a}, {5, &write_b}};
    auto child = start_process(spec);
    REQUIRE(child);
    CHECK((*child)->wait(5s)->exit_code == 0);
    char text[16] = {};
    CHECK(read(a[0], text, sizeof text) == 5);
    CHECK(std::string(text, 4) == "to-a");
    CHECK(read(b[0], text, sizeof text) == 5);
    CHECK(std::string(text, 4) == "to-b");
}

TEST_CASE("two children's descriptors can swap places", "[platform][process]")
{
    int a[2], b[2];
    REQUIRE((pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0));
    const Handle read_a(a[0]), write_a(a[1]), read_b(b[0]), write_b(b[1]);
    ProcessSpec spec = shell("");
    spec.program = "/usr/bin/env";
    spec.arguments = {"sh", "-c", "readlink /proc/self/fd/" + std::to_string(a[1]) + " /proc/self/fd/" + std::to_string(b[1])};
    spec.handles = {{a[1], &write_b}, {b[1], &write_a}};
    int out[2];
    REQUIRE(pipe2(out, O_CLOEXEC) == 0);
    const Handle read_out(out[0]);
    {
        const Handle write_out(out[1]);
        spec.handles.emplace_back(1, &write_out);
        auto child = start_process(spec);
        REQUIRE(child);
        CHECK((*child)->wait(5s)->exit_code == 0);
    }
    char text[200] = {};
    const auto size = read(out[0], text, sizeof text);
    REQUIRE(size > 0);
    char link_a[64] = {}, link_b[64] = {};
    REQUIRE(readlink(("/proc/self/fd/" + std::to_string(a[1])).c_str(), link_a, 63) > 0);
    REQUIRE(readlink(("/proc/self/fd/" + std::to_string(b[1])).c_str(), link_b, 63) > 0);
    CHECK(std::string(text, static_cast<std::size_t>(size)) == std::string(link_b) + "\n" + link_a + "\n");
}

TEST_CASE("a program that is none is an error that names it", "[platform][process]")
{
    ProcessSpec spec = shell("");
    spec.program = "/no/such/program";
    CHECK(start_process(spec).error().code == Errc::not_found);
    CHECK_THAT(start_process(spec).error().what, Catch::Contains("/no/such/program"));
    spec.program = "sh";
    CHECK(start_process(spec).error().code == Errc::not_found);
    if (!kChildErrorsAreSeen) {
        WARN("SKIP: errors behind vfork, under this sanitizer");
        return;
    }
    spec.program = "/etc/hostname";
    CHECK(start_process(spec).error().code == Errc::denied);
    spec.program = "/tmp";
    CHECK(start_process(spec).error().code == Errc::denied);
    spec.program = "/bin/sh";
    spec.folder = "/no/such/folder";
    CHECK_FALSE(start_process(spec));
}

TEST_CASE("arguments arrive as they are, empty ones too", "[platform][process]")
{
    ProcessSpec spec = shell("");
    spec.arguments = {"-c", "for a in \"$@\"; do echo \"[$a]\"; done", "sh", "", "two words", "\"quoted\"", ""};
    CHECK(run_process(spec, "", 1000, 5s)->out == "[]\n[two words]\n[\"quoted\"]\n[]\n");
}

TEST_CASE("a child past its time is killed with all that it started", "[platform][process]")
{
    const auto start = std::chrono::steady_clock::now();
    const auto done = run_process(shell("sleep 30 & sleep 30"), "", 100, 100ms);
    REQUIRE(done);
    CHECK(done->ending.timed_out);
    CHECK(done->ending.signal == SIGKILL);
    CHECK(std::chrono::steady_clock::now() - start < 5s);
}

TEST_CASE("a stop request ends a child", "[platform][process]")
{
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    const auto done = run_process(shell("sleep 30"), "", 100, {}, stop.get_token());
    if (!done) CHECK(done.error().code == Errc::cancelled);
    else CHECK(done->ending.cancelled);
}

TEST_CASE("output over the limit is dropped and counted", "[platform][process]")
{
    const auto done = run_process(shell("head -c 300000 /dev/zero"), "", 1000, 5s);
    REQUIRE(done);
    CHECK(done->out.size() == 1000);
    CHECK(done->dropped == 299'000);
}

TEST_CASE("a child that does not read its input does not stop us", "[platform][process]")
{
    const auto done = run_process(shell("exit 0"), std::string(1'000'000, 'x'), 10, 5s);
    REQUIRE(done);
    CHECK(done->ending.exit_code == 0);
}

TEST_CASE("a child left in the background does not hold us", "[platform][process]")
{
    const auto start = std::chrono::steady_clock::now();
    const auto done = run_process(shell("sleep 30 & echo done"), "", 100, 10s);
    REQUIRE(done);
    CHECK(done->out == "done\n");
    CHECK(std::chrono::steady_clock::now() - start < 5s);
}

TEST_CASE("a process object kills its child when it goes", "[platform][process]")
{
    pid_t pid = 0;
    {
        auto child = start_process(shell("sleep 30"));
        REQUIRE(child);
        pid = static_cast<pid_t>((*child)->id());
        CHECK((*child)->wait(1ms).error().code == Errc::timeout);
    }
    CHECK(kill(pid, 0) != 0);
}

TEST_CASE("signals that we hold or ignore have their usual effect on a child", "[platform][process]")
{
    signal(SIGPIPE, SIG_IGN);
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, &before);
    auto child = start_process(shell("sleep 30"));
    REQUIRE(child);
    (*child)->signal(SIGTERM);
    CHECK((*child)->wait(5s)->signal == SIGTERM);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    const auto ignored = run_process(shell("grep SigIgn /proc/self/status"), "", 100, 5s);
    CHECK_THAT(ignored->out, Catch::Contains("0000000000000000"));
    signal(SIGPIPE, SIG_DFL);
}

TEST_CASE("as root a child can be another user without any group of ours", "[platform][process]")
{
    if (geteuid() != 0) {
        WARN("SKIP: only root can change the user");
        return;
    }
    ProcessSpec spec = shell("id -u; id -g; id -G");
    spec.uid = 65534;
    spec.gid = 65534;
    CHECK(run_process(spec, "", 100, 5s)->out == "65534\n65534\n65534\n");
}

TEST_CASE("lines are handed over as they come, the last one without its end too", "[platform][process]")
{
    std::vector<std::string> lines;
    const auto done = run_lines(shell("echo one; echo; echo 1234567890; printf last; exit 4"), [&](std::string_view line) { lines.emplace_back(line); }, 5, 1s);
    REQUIRE(done);
    CHECK(done->exit_code == 4);
    CHECK(lines == std::vector<std::string>{"one", "", "12345", "last"});
}

TEST_CASE("a child that does not heed the stop is killed after its grace", "[platform][process]")
{
    std::stop_source stop;
    std::vector<std::string> lines;
    const auto done = run_lines(shell("trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done"),
                                [&](std::string_view line) { lines.emplace_back(line); if (line == "up") stop.request_stop(); }, 100, 300ms, stop.get_token());
    REQUIRE(done);
    CHECK(done->cancelled);
    CHECK(done->signal == SIGKILL);
    CHECK(lines == std::vector<std::string>{"up", "asked"});
}

TEST_CASE("a child apart signals itself and its own, and nobody else", "[platform][process]")
{
    ProcessSpec spec = shell("kill -0 $$ && echo self; sleep 5 & kill -0 $! && echo own; kill $!; kill -0 $PPID 2>/dev/null && echo parent; true");
    CHECK(run_process(spec, "", 1000, 10s)->out == "self\nown\nparent\n");
    if (can_confine_files() < 6) {
        WARN("SKIP: this kernel cannot keep a child apart (Landlock ABI " << can_confine_files() << ")");
        return;
    }
    spec.apart = true;
    CHECK(run_process(spec, "", 1000, 10s)->out == "self\nown\n");
}

TEST_CASE("a folder is given to a user without what is linked into it", "[platform][process]")
{
    if (!is_root()) {
        WARN("SKIP: only root can give a folder away");
        return;
    }
    namespace fs = std::filesystem;
    const TempFolder folder;
    const fs::path top = folder.path();
    fs::create_directories(top / "mine" / "deep");
    fs::create_directories(top / "mine" / "kept");
    fs::create_directories(top / "other");
    for (const char* name : {"mine/deep/file", "mine/kept/file", "other/file", "other/linked"}) std::ofstream(top / name) << "x";
    fs::create_directory_symlink(top / "other", top / "mine" / "link");
    fs::create_hard_link(top / "other" / "linked", top / "mine" / "hard");
    fs::create_directory_symlink(top / "other", top / "way");
    const User user{65534, 65534};
    REQUIRE(give_tree((top / "mine").string(), user, "kept"));
    CHECK(owner_of((top / "mine").string())->uid == 65534);
    CHECK(owner_of((top / "mine/deep/file").string())->uid == 65534);
    for (const char* name : {"mine/kept", "mine/kept/file", "other", "other/file", "other/linked"}) CHECK(owner_of((top / name).string())->uid == 0);
    REQUIRE(give_tree((top / "way").string(), user));   // a link at the top
    CHECK(owner_of((top / "other").string())->uid == 0);
    CHECK(owner_of((top / "other/file").string())->uid == 0);
}
