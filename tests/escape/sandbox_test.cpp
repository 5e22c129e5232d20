// What a sandbox must not let out: each case runs a payload that tries, and looks whether it got anywhere.
#include <catch2/catch.hpp>

#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/files.h"
#include "platform/sandbox.h"

using namespace mill;
using namespace mill::platform;
using namespace std::chrono_literals;

namespace {

struct Folder {
    std::string path;
    Folder()
    {
        char name[] = "/tmp/mill-escape-XXXXXX";
        path = mkdtemp(name);
        chmod(path.c_str(), 0777);
    }
    ~Folder() { (void)remove_tree(path); }
};

struct Run {
    Ending ending;
    std::string out, said;
};

SandboxSpec shell(const std::string& script, bool commands = true)
{
    SandboxSpec spec;
    spec.program = "/bin/sh";
    spec.arguments = {"-c", script};
    spec.commands = commands;
    spec.limits.processes = 16;
    spec.limits.memory = mebibytes(64);
    spec.limits.output = mebibytes(4);
    static int number = 0;
    spec.name = "escape-" + std::to_string(++number);
    if (geteuid() == 0) spec.uid = spec.gid = 65534;
    return spec;
}

/// Runs to the end; standard output comes back through a pipe.
Run run(SandboxSpec spec, std::chrono::milliseconds limit = 10s)
{
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const Handle out(ends[0]);
    Handle inside(ends[1]);
    spec.handles.emplace_back(1, &inside);
    auto sandbox = start_sandbox(spec);
    INFO((sandbox ? std::string() : sandbox.error().what));
    REQUIRE(sandbox);
    inside = Handle();
    Run done;
    const auto ending = (*sandbox)->wait(limit);
    if (!ending) (*sandbox)->kill();
    REQUIRE(ending);
    done.ending = *ending;
    done.said = (*sandbox)->said();
    fcntl(out.native(), F_SETFL, O_NONBLOCK);
    char block[65536];
    for (ssize_t got = 0; (got = read(out.native(), block, sizeof block)) > 0;) done.out.append(block, static_cast<std::size_t>(got));
    return done;
}

bool no_sandbox_here()
{
    const std::string problem = find_isolation().problem;
    if (problem.empty()) return false;
    WARN("SKIP: no sandbox on this machine: " << problem);
    return true;
}

}  // namespace

TEST_CASE("a harmless program runs, as another user than root, in a private folder", "[escape]")
{
    if (no_sandbox_here()) return;
    const Run done = run(shell("id -u; pwd; echo text > file && cat file; echo note >&2; exit 5"));
    CHECK(done.ending.exit_code == 5);
    CHECK(done.out == std::to_string(geteuid() == 0 ? 65534 : geteuid()) + "\n/work\ntext\n");
    CHECK(done.said == "note\n");
}

TEST_CASE("as root nothing starts without another user", "[escape]")
{
    if (geteuid() != 0) return;
    SandboxSpec spec = shell("true");
    spec.uid.reset();
    CHECK(start_sandbox(spec).error().code == Errc::denied);
    spec.uid = 0;
    CHECK(start_sandbox(spec).error().code == Errc::denied);
    spec.uid = 65534;
    spec.gid = 0;
    CHECK(start_sandbox(spec).error().code == Errc::denied);
}

TEST_CASE("files of the host cannot be read", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder folder;
    REQUIRE(write_file(folder.path + "/secret", "do not read", 0644));
    const Run done = run(shell("cat /etc/shadow /etc/passwd /etc/hostname /root/.profile " + folder.path +
                               "/secret /oldroot/etc/passwd /proc/1/root/etc/shadow /proc/1/environ; ls /home /root /srv /var /sys /run /etc/ssl"));
    CHECK(done.out.find("root:") == std::string::npos);
    CHECK(done.out.find("do not read") == std::string::npos);
    CHECK(done.out.empty());
}

TEST_CASE("nothing outside of the private folders can be written", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder folder;
    REQUIRE(write_file(folder.path + "/read", "old", 0666));
    SandboxSpec spec = shell("for f in /x /etc/x /usr/x /usr/bin/x /millwright/x /bin/x /dev/x /proc/sys/kernel/core_pattern /proc/sysrq-trigger " +
                             folder.path + "/read " + folder.path + "/new; do (echo bad > $f) 2>/dev/null && echo wrote $f; done; mount -o remount,rw / && echo remounted; "
                             "mount -t tmpfs none /usr && echo mounted; true");
    spec.mounts = {{folder.path, folder.path, false}};
    const Run done = run(spec);
    CHECK(done.out == "");
    CHECK(*read_file(folder.path + "/read", 100) == "old");
    CHECK_FALSE(exists(folder.path + "/new"));
}

TEST_CASE("a granted folder is there: read-only or writable as granted", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder in, out;
    REQUIRE(write_file(in.path + "/data", "content", 0644));
    SandboxSpec spec = shell("cat " + in.path + "/data > " + out.path + "/copy");
    spec.mounts = {{in.path, in.path, false}, {out.path, out.path, true}};
    CHECK(run(spec).ending.exit_code == 0);
    CHECK(*read_file(out.path + "/copy", 100) == "content");
}

TEST_CASE("places that would open the host are never mounted", "[escape]")
{
    const Folder folder;
    REQUIRE(symlink("/", (folder.path + "/root").c_str()) == 0);
    REQUIRE(symlink("/proc", (folder.path + "/proc").c_str()) == 0);
    for (const auto& [path, writable] : std::vector<std::pair<std::string, bool>>{{"/", false}, {"/proc", false}, {"/sys", false}, {"/dev", true}, {"/usr", true},
             {"/etc", false}, {"/work", true}, {"/tmp", true}, {folder.path + "/root", false}, {folder.path + "/proc", false}, {"/proc/1/root", false}}) {
        SandboxSpec spec = shell("true");
        spec.mounts = {{path, path, writable}};
        const auto started = start_sandbox(spec);
        INFO(path);
        REQUIRE_FALSE(started);
        CHECK(started.error().code == Errc::denied);
    }
    SandboxSpec spec = shell("true");
    spec.mounts = {{"/no/such/path", "/x", false}};
    CHECK(start_sandbox(spec).error().code == Errc::not_found);
}

TEST_CASE("a file that the sandbox's user could not open by name is handed in", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder folder;
    REQUIRE(write_file(folder.path + "/package", "bytes of a package", 0600));
    chmod(folder.path.c_str(), 0700);
    SandboxSpec spec = shell("cat /package.mwp; (echo x > /package.mwp) 2>/dev/null && echo wrote");
    spec.mounts = {{folder.path + "/package", "/package.mwp", false}};
    CHECK(run(spec).out == "bytes of a package");
    if (geteuid() == 0) {  // a program in a folder that others cannot enter is staged
        REQUIRE(write_file(folder.path + "/program", "#!/bin/sh\necho staged\n", 0700));
        spec.program = folder.path + "/program";
        spec.arguments.clear();
        CHECK(run(spec).out == "staged\n");
    }
}

TEST_CASE("the host's network is not there, loopback included", "[escape]")
{
    if (no_sandbox_here()) return;
    const Handle server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(server.native(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(server.native(), 5) == 0);
    socklen_t length = sizeof address;
    getsockname(server.native(), reinterpret_cast<sockaddr*>(&address), &length);
    const std::string port = std::to_string(ntohs(address.sin_port));
    const std::string script = "bash -c 'exec 5<>/dev/tcp/127.0.0.1/" + port + "' && echo connected; bash -c 'exec 5<>/dev/tcp/1.1.1.1/53' && echo out; true";
    CHECK(run(shell(script)).out.empty());
    CHECK(run(shell(script, false)).out.empty());
    // the payload can connect where nothing stands between: else the test would prove nothing
    CHECK(std::system(("bash -c 'exec 5<>/dev/tcp/127.0.0.1/" + port + "' 2>/dev/null").c_str()) == 0);
}

TEST_CASE("processes of the host are neither seen nor reached", "[escape]")
{
    if (no_sandbox_here()) return;
    const Run done = run(shell("ls /proc | grep -c '^[0-9]'; kill -0 " + std::to_string(getpid()) + " 2>/dev/null && echo reached; cat /proc/" +
                               std::to_string(getpid()) + "/cmdline 2>/dev/null; true"));
    CHECK(std::atoi(done.out.c_str()) <= 6);
    CHECK(done.out.find("reached") == std::string::npos);
    CHECK(done.out.find("escape") == std::string::npos);
}

TEST_CASE("the environment is empty but for paths and language", "[escape]")
{
    if (no_sandbox_here()) return;
    setenv("MILL_TEST_SECRET", "from-outside", 1);
    const Run done = run(shell("env; hostname; tr '\\0' '\\n' < /proc/1/environ"));
    CHECK(done.out.find("from-outside") == std::string::npos);
    CHECK(done.out.find("sandbox\n") != std::string::npos);
}

TEST_CASE("no descriptor of ours is inherited but those handed over", "[escape]")
{
    if (no_sandbox_here()) return;
    const Handle open_by_mistake(open("/etc/hostname", O_RDONLY));
    const Run done = run(shell("for p in /proc/[0-9]*; do ls -l $p/fd 2>/dev/null; done"));
    CHECK(done.out.find("hostname") == std::string::npos);
    CHECK(done.out.find("cgroup") == std::string::npos);
}

TEST_CASE("a fork bomb stops at the processes limit and dies with its sandbox", "[escape]")
{
    if (no_sandbox_here() || find_isolation().processes == "none") return;
    SandboxSpec spec = shell("i=0; while [ $i -lt 60 ]; do sleep 30 & i=$((i+1)); done; echo made $i");
    auto sandbox = start_sandbox(spec);
    REQUIRE(sandbox);
    const auto ending = (*sandbox)->wait(5s);
    if (!ending) (*sandbox)->kill();
    else CHECK(ending->exit_code != 0);  // the shell gives up at the first fork that fails
    REQUIRE((*sandbox)->wait(5s));
    CHECK_THAT((*sandbox)->said(), Catch::Contains("fork"));
}

TEST_CASE("memory over the limit ends the sandbox alone, and the ending says so", "[escape]")
{
    if (no_sandbox_here() || find_isolation().memory == "rlimit") return;
    SandboxSpec spec = shell("");
    spec.program = "/usr/bin/tail";
    spec.arguments = {"/dev/zero"};
    const Run done = run(spec, 20s);
    CHECK(done.ending.signal == SIGKILL);
    CHECK(done.ending.out_of_memory);
    CHECK(done.ending.peak_memory > mebibytes(32).bytes);
}

TEST_CASE("the private folders hold no more than their limit", "[escape]")
{
    if (no_sandbox_here()) return;
    const Run done = run(shell("head -c 20000000 /dev/zero > /work/big; wc -c < /work/big; head -c 20000000 /dev/zero > /tmp/big; wc -c < /tmp/big"));
    CHECK(done.out == "4194304\n4194304\n");
}

TEST_CASE("CPU time over the limit ends the program", "[escape]")
{
    if (no_sandbox_here()) return;
    SandboxSpec spec = shell("while :; do :; done");
    spec.limits.cpu = 1s;
    const Run done = run(spec, 20s);
    CHECK(done.ending.signal == SIGXCPU);
}

TEST_CASE("a program that heeds no signal and hides its children dies at once when killed", "[escape]")
{
    if (no_sandbox_here()) return;
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const Handle out(ends[0]);
    {
        Handle inside(ends[1]);
        SandboxSpec spec = shell("trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM HUP; sleep 60' & sleep 60 & echo up; while :; do sleep 1; done");
        spec.handles.emplace_back(1, &inside);
        auto sandbox = start_sandbox(spec);
        REQUIRE(sandbox);
        inside = Handle();
        char text[3];
        REQUIRE(read(out.native(), text, 3) == 3);
        (*sandbox)->kill();
        const auto ending = (*sandbox)->wait(2s);
        REQUIRE(ending);
        CHECK(ending->cancelled);
    }
    char left = 0;
    CHECK(read(out.native(), &left, 1) == 0);  // the end of the pipe: nobody holds it any more
}

TEST_CASE("an abandoned sandbox dies with its object", "[escape]")
{
    if (no_sandbox_here()) return;
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const Handle out(ends[0]);
    {
        Handle inside(ends[1]);
        SandboxSpec spec = shell("echo up; sleep 60");
        spec.handles.emplace_back(1, &inside);
        auto sandbox = start_sandbox(spec);
        REQUIRE(sandbox);
        char text[3];
        REQUIRE(read(out.native(), text, 3) == 3);
    }
    char left = 0;
    CHECK(read(out.native(), &left, 1) == 0);
}

TEST_CASE("no further namespaces, tracing or keys", "[escape]")
{
    if (no_sandbox_here()) return;
    const Run done = run(shell("unshare -U true 2>/dev/null && echo user; unshare -n true 2>/dev/null && echo net; unshare -r -m true 2>/dev/null && echo mount; "
                               "cat /proc/sys/user/max_user_namespaces > /dev/null; grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status"));
    CHECK_THAT(done.out, !Catch::Contains("user\n") && !Catch::Contains("net\n") && !Catch::Contains("mount\n"));
    CHECK_THAT(done.out, Catch::Contains("CapEff:\t0000000000000000") && Catch::Contains("CapBnd:\t0000000000000000") && Catch::Contains("NoNewPrivs:\t1") && Catch::Contains("Seccomp:\t2"));
}

TEST_CASE("limits that are stated and cannot be kept are refused, never loosened", "[escape]")
{
    const Isolation found = find_isolation();
    SandboxSpec spec = shell("true");
    spec.limits.stated = true;
    const auto started = start_sandbox(spec);
    if (found.memory == "rlimit" || found.processes == "none") {
        REQUIRE_FALSE(started);
        CHECK(started.error().code == Errc::denied);
    } else {
        REQUIRE(started);
        CHECK((*started)->notes().empty());
    }
}
