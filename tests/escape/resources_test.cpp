// Eating what the machine has. Each control is the same act with room for it.
#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>

#include <sys/resource.h>
#include <unistd.h>

#include "tests/escape/attempt.h"

using namespace mill;
using namespace mill::escape;
using namespace mill::platform;
using namespace std::chrono_literals;

namespace {

/// The same with wide limits, all of which the machine can afford.
SandboxSpec roomy(Words words)
{
    SandboxSpec spec = payload(std::move(words));
    spec.limits.memory = mebibytes(512);
    spec.limits.processes = 100;
    spec.limits.output = mebibytes(64);
    return spec;
}

void ends_for_memory(const Words& words)
{
    INFO(words.front());
    CHECK(run_inside(roomy(words)).out == "got");
    const Captured seen = inside(words);
    INFO(seen.out);
    CHECK(seen.ending.signal == SIGKILL);
    CHECK(seen.ending.out_of_memory);
    CHECK(seen.ending.peak_memory <= mebibytes(64).bytes);
}

}  // namespace

TEST_CASE("processes and threads are counted together", "[escape]")
{
    if (no_sandbox_here() || no_group_here()) return;
    for (const char* verb : {"forks", "threads"}) {
        INFO(verb);
        CHECK(run_inside(roomy({verb, "40"})).out == "got 40");
        CHECK(inside({verb, "40"}).out == "refused EAGAIN after 15");  // and the one that makes them
    }
}

TEST_CASE("memory of every kind counts", "[escape]")
{
    if (no_sandbox_here() || no_group_here()) return;
    for (const char* verb : {"heap", "shared-pages", "memory-file", "segment"}) ends_for_memory({verb, "96"});
}

TEST_CASE("where no tree can be bounded, each process is", "[escape]")
{
    if (no_sandbox_here()) return;
    if (find_isolation().memory != "rlimit") return skip("this machine bounds whole trees");
    CHECK(inside({"heap", "96"}).out == "refused ENOMEM");
    CHECK(run_inside(roomy({"heap", "96"})).out == "got");
}

TEST_CASE("buffers of sockets and pipes count", "[escape]")
{
    if (no_sandbox_here() || no_group_here()) return;
    ends_for_memory({"socket-buffers", "96"});
    // Beyond a number of pages for each user the kernel makes pipes small: then descriptors bound them.
    const Captured seen = inside({"pipes", "96"});
    INFO(seen.out);
    CHECK((seen.ending.signal == SIGKILL || seen.out.starts_with("refused EMFILE")));
    CHECK(run_inside(roomy({"pipes", "8"})).out == "got");
}

TEST_CASE("the private folders hold what they may and no more", "[escape]")
{
    if (no_sandbox_here()) return;
    for (const char* file : {"/work/file", "/tmp/file", "/dev/shm/file"}) {
        INFO(file);
        CHECK(inside({"fill", file, "20"}).out == "refused ENOSPC after 8");
        CHECK(run_inside(roomy({"fill", file, "20"})).out == "got 20");
    }
}

TEST_CASE("files without content cost memory, and that is bounded", "[escape][speed]")
{
    if (no_sandbox_here() || no_group_here()) return;
    const Captured seen = inside({"empty-files", "/work", "150000"});
    INFO(seen.out);
    CHECK((seen.ending.out_of_memory || seen.out.starts_with("refused")));
    CHECK(run_inside(roomy({"empty-files", "/work", "20000"})).out == "got 20000");
}

TEST_CASE("descriptors are counted", "[escape]")
{
    if (no_sandbox_here()) return;
    rlimit own{};
    getrlimit(RLIMIT_NOFILE, &own);
    CHECK(inside({"open-files", "900"}).out == "got 900");
    const std::string most = std::to_string(std::min<rlim_t>(4096, own.rlim_max) - 3);
    CHECK(inside({"open-files", "6000"}).out == "refused EMFILE after " + most);
    if (own.rlim_max < 6100) return skip("no control: this process itself may not have so many descriptors");
    CHECK(without({}, payload({"open-files", "6000"})).out == "got 6000");  // no limits hold there
}

TEST_CASE("limits are not raised from inside", "[escape]")
{
    if (no_sandbox_here()) return;
    const std::string cpu = std::to_string(RLIMIT_CPU), files = std::to_string(RLIMIT_NOFILE), core = std::to_string(RLIMIT_CORE);
    CHECK(inside({"set-limit", cpu, "900", "900"}).out == "refused EPERM");
    CHECK(inside({"set-limit", files, "1000000", "1000000"}).out == "refused EPERM");
    CHECK(inside({"set-limit", core, "1", "1"}).out == "refused EPERM");
    CHECK(inside({"set-limit", cpu, "1", "1"}).out == "got");
    CHECK(without({}, payload({"set-limit", cpu, "900", "900"})).out == "got");
    SandboxSpec spec = payload({"limit", cpu});  // the signal at the first can be ignored, the end at the second cannot
    spec.limits.cpu = 1s;
    CHECK(run_inside(spec).out == "got 1 6");
    CHECK(without({}, spec).out != "got 1 6");
}

TEST_CASE("a flood of output is ended", "[escape]")
{
    if (no_sandbox_here()) return;
    const Captured flood = run_inside(payload({"print", "200", "1"}), 1024 * 1024);
    CHECK(flood.out.size() <= 1024 * 1024);
    CHECK(flood.dropped > 0);
    CHECK(flood.ending.signal == SIGKILL);
    const Captured less = run_inside(payload({"print", "2", "1"}), 4 * 1024 * 1024);
    CHECK(less.dropped == 0);
    CHECK(less.ending.exit_code == 0);
    Running quiet(payload({"print", "20", "2"}));  // what it says of errors is in a file that does not grow
    CHECK(quiet.sandbox->wait(10s));
    CHECK(quiet.sandbox->said().size() <= 4096);
}

TEST_CASE("processor time of all processes is counted together", "[escape][speed]")
{
    if (no_sandbox_here() || no_group_here()) return;
    Running tree(payload({"burn", "300", "4"}));  // each below what a limit of one process would see
    const auto ending = tree.sandbox->wait(15s);
    REQUIRE(ending);
    CHECK(ending->cpu_ms >= 1100);
    Running one(payload({"burn", "300", "1"}));
    const auto less = one.sandbox->wait(15s);
    REQUIRE(less);
    CHECK(less->cpu_ms < 1100);
}

TEST_CASE("a shell that starts without end stops at the processes limit", "[escape]")
{
    if (no_sandbox_here() || no_group_here()) return;
    const std::string script = "i=0; while [ $i -lt 40 ]; do sleep 30 & i=$((i+1)); done; echo made $i";
    const Captured bomb = run_inside(shell(script));
    CHECK(bomb.ending.exit_code != 0);  // the shell gives up at the first fork that fails
    CHECK_THAT(bomb.err, Catch::Contains("fork"));
    SandboxSpec wide = shell(script);
    wide.limits.processes = 100;
    CHECK(run_inside(wide).out == "made 40");
}

TEST_CASE("memory over the limit ends the sandbox alone, and the ending says so", "[escape]")
{
    if (no_sandbox_here() || no_group_here()) return;
    SandboxSpec spec = shell("");
    spec.program = "/usr/bin/tail";
    spec.arguments = {"/dev/zero"};
    const Captured done = run_inside(spec);
    CHECK(done.ending.signal == SIGKILL);
    CHECK(done.ending.out_of_memory);
    CHECK(done.ending.peak_memory > mebibytes(32).bytes);
}

TEST_CASE("the private folders hold no more than their limit", "[escape]")
{
    if (no_sandbox_here()) return;
    const Captured done = run_inside(shell("head -c 20000000 /dev/zero > /work/big; wc -c < /work/big; head -c 20000000 /dev/zero > /tmp/big; wc -c < /tmp/big"));
    CHECK(done.out == "8388608\n8388608");
}

TEST_CASE("CPU time over the limit ends the program", "[escape]")
{
    if (no_sandbox_here()) return;
    SandboxSpec spec = shell("while :; do :; done");
    spec.limits.cpu = 1s;
    const Captured done = run_inside(spec);
    CHECK(done.ending.signal == SIGXCPU);
}
