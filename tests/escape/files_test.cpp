// Reading and writing what lies outside, seeing other processes, and what leaks in.
#include <catch2/catch.hpp>

#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/files.h"
#include "platform/linux/isolation.h"
#include "tests/escape/attempt.h"

using namespace mill;
using namespace mill::escape;
using namespace mill::platform;

namespace {

constexpr const char* kAbsent = "refused ENOENT";

}  // namespace

TEST_CASE("files of the host are not there", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder host;  // the agent's user might have each of these; all may read them, so that only the mounts protect
    const std::string ssh = host.put("home/.ssh/id_ed25519", "a key\n"), key = host.put("state/agent.key", "the agent's key\n"),
                      outbox = host.put("state/outbox/1.json", "an event\n"), job = host.put("jobs/other/work/input", "another job's\n");
    const std::string shared = "/dev/shm/mill-escape-" + std::to_string(getpid());
    REQUIRE(write_file(shared, "shared\n", 0644));
    check({{"a key of a user", {"read", ssh}, kAbsent, {}, "got a key"},
           {"the agent's key", {"read", key}, kAbsent, {}, "got the agent's key"},
           {"the agent's outbox", {"read", outbox}, kAbsent, {}, "got an event"},
           {"another job's folder", {"read", job}, kAbsent, {}, "got another job's"},
           {"the same by a list", {"list", host.path() + "/jobs"}, kAbsent, {}, "got 1"},
           {"the same by a link", {"read-by-link", job, "/tmp/mill-escape-link-" + std::to_string(getpid())}, kAbsent, {}, "got another job's"},
           {"the same by the root of the first process", {"read", "/proc/1/root" + job}, kAbsent, {}, "got another job's|refused EACCES"},
           {"the same by our own root", {"read", "/proc/self/root" + job}, kAbsent, {}, "got another job's"},
           {"the same upwards from an open folder", {"read-above", "/usr/bin", job}, kAbsent, {}, "got another job's"},
           {"the same upwards from where we are", {"read", "/proc/self/cwd/../../../../../.." + job}, kAbsent, {}, "got another job's"},
           {"shared memory of the host", {"read", shared}, kAbsent, {}, "got shared"},
           {"passwords", {"read", "/etc/shadow"}, kAbsent, {}, "refused EACCES|got *"},
           {"users", {"read", "/etc/passwd"}, kAbsent, {}, "got *"},
           {"keys of the machine", {"list", "/etc/ssl/private"}, kAbsent, {}, "refused EACCES|got *", kAbsent},
           {"the root's folder", {"list", "/root"}, kAbsent, {}, "refused EACCES|got *"},
           {"homes", {"list", "/home"}, kAbsent, {}, "got *"},
           {"what runs", {"list", "/run"}, kAbsent, {}, "got *"},
           {"what is kept", {"list", "/var"}, kAbsent, {}, "got *"},
           {"devices", {"list", "/sys"}, kAbsent, {}, "got *"},
           {"control groups", {"list", "/sys/fs/cgroup"}, kAbsent, {}, "got *"},
           {"another control group", {"write", "/sys/fs/cgroup/pids/cgroup.procs"}, kAbsent, {}, "refused EACCES|refused EINVAL", kAbsent},
           {"another control group (v2)", {"write", "/sys/fs/cgroup/cgroup.procs"}, kAbsent, {}, "refused EACCES|refused EINVAL", kAbsent + std::string("|refused EROFS")},
           {"the log of the kernel", {"read", "/dev/kmsg"}, kAbsent, {}, "refused *|got *", kAbsent},
           {"memory of the machine", {"read", "/dev/mem"}, kAbsent, {}, "refused EACCES", kAbsent}});
    unlink(shared.c_str());
}

TEST_CASE("nothing outside is written", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder host;
    const std::string file = host.put("open-to-all", "", 0666);
    const std::string nowhere = "refused EROFS|refused EACCES";
    // Outside these are closed to the sandbox's user as well, for another reason.
    for (const char* path : {"/usr/mill", "/usr/bin/mill", "/usr/bin/bwrap", "/etc/mill", "/mill", "/bin/mill", "/millwright/mill", "/millwright/escape_payload",
                             "/dev/mill", "/dev/pts/mill", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches",
                             "/proc/sysrq-trigger", "/proc/1/uid_map"}) {
        INFO(path);
        const Captured seen = inside({"write", path});
        CHECK(matches(seen.out, nowhere + "|refused EPERM|refused ENOENT|refused ETXTBSY"));
    }
    check({{"a file that all may write", {"write", file}, kAbsent, {}, "got"}, {"a file beside it", {"write", host.path() + "/new"}, kAbsent, {}, "got"}});
    CHECK(inside({"chmod", "/millwright/escape_payload"}).out == "refused EROFS");
    CHECK(inside({"write", "/work/mill"}).out == "got");  // the same verb
    CHECK(inside({"write", "/tmp/mill"}).out == "got");
    CHECK(inside({"write", "/proc/self/comm"}).out == "got");
    CHECK(inside({"node", "/work/disk", "8"}).out == "refused EPERM");
    CHECK(inside({"call", "mknod", "@/work/pipe", "0x1180", "0"}).out == "got");
}

TEST_CASE("a granted folder is a granted folder and no more", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder host;
    const std::string granted = host.path() + "/granted", file = host.put("granted/file", "granted\n", 0666), secret = host.put("secret/file", "secret\n");
    chmod(granted.c_str(), 0777);
    REQUIRE(symlink(secret.c_str(), (granted + "/link").c_str()) == 0);
    REQUIRE(symlink("../secret/file", (granted + "/short-link").c_str()) == 0);
    const auto seen = [&](Words words, bool writable, bool all = false) {
        SandboxSpec spec = payload(std::move(words));
        spec.mounts = {{granted, granted, writable}};
        if (all) spec.mounts.push_back({host.path() + "/secret", host.path() + "/secret", false});
        return run_inside(spec).out;
    };
    for (const std::string& way : {granted + "/link", granted + "/short-link", granted + "/../secret/file"}) {
        INFO(way);
        CHECK(seen({"read", way}, true) == kAbsent);
        CHECK(seen({"read", way}, true, true) == "got secret");  // with the other folder granted
    }
    for (const Words& words : {Words{"write", file}, Words{"write", granted + "/new"}, Words{"rename", file, granted + "/moved"}, Words{"link", file, granted + "/hard"}}) {
        INFO(words[0] << " " << words.back());
        CHECK(seen(words, false) == "refused EROFS");
        CHECK(seen(words, true) == "got");
        (void)rename((granted + "/moved").c_str(), file.c_str());
    }
    CHECK(seen({"chmod", file}, false) == "refused EROFS");
    CHECK(seen({"link", file, "/work/hard"}, true) == "refused EXDEV");
    CHECK(seen({"rename", granted, host.path() + "/elsewhere"}, true) != "got");
}

TEST_CASE("what is handed over for reading", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder host;
    const std::string closed = host.put("closed", "handed\n", geteuid() == 0 ? 0600 : 0400);
    const Handle file(open(closed.c_str(), O_RDONLY | O_CLOEXEC));
    const auto seen = [&](Words words) {
        SandboxSpec spec = payload(std::move(words));
        spec.handles = {{3, &file}};
        return run_inside(spec).out;
    };
    CHECK(seen({"reopen", "3"}) == "refused EACCES");
    CHECK(seen({"call", "write", "3", "@x", "1"}) == "refused EBADF");
    CHECK(seen({"call", "read", "3", "&", "8"}) == "got");
    CHECK(inside({"call", "read", "3", "&", "8"}).out == "refused EBADF");  // not handed over
}

TEST_CASE("nothing that we have open or know is inherited", "[escape]")
{
    if (no_sandbox_here()) return;
    const Handle by_mistake(open("/etc/hostname", O_RDONLY));
    const Handle far_by_mistake(fcntl(by_mistake.native(), F_DUPFD, 300));  // beyond all that is handed over
    REQUIRE(far_by_mistake.valid());
    setenv("MILL_ESCAPE_SECRET", "from outside", 1);
    CHECK(inside({"descriptors"}).out == "got");
    CHECK(outside({"descriptors"}).out != "got");
    CHECK(inside({"environment"}).out == "got HOME LANG PATH PWD TMPDIR");
    CHECK(outside({"environment"}).out.find("MILL_ESCAPE_SECRET") != std::string::npos);
    CHECK(inside({"read", "/proc/1/environ"}).out.find("outside") == std::string::npos);
    char name[256] = {};
    REQUIRE(gethostname(name, sizeof name - 1) == 0);
    check({{"the host's name", {"host-name"}, "got sandbox", {Part::host_name}, std::string("got ") + name}});
}

TEST_CASE("other processes are not there", "[escape]")
{
    if (no_sandbox_here()) return;
    Running other(payload({"bystander", "/work/of-another-job"}));
    REQUIRE(other.line() == "up\n");
    const std::string pid = std::to_string(getpid());
    check({{"the folder of a job that runs now", {"read-through-others", "/work/of-another-job"}, kAbsent, {}, "got of another job"},
           {"our command line", {"read", "/proc/" + pid + "/cmdline"}, kAbsent, {}, "got *"},
           {"our state", {"status-of", pid, "Name:"}, kAbsent, {}, "got *"}});
    if (!kernel_allows().fresh_proc) return skip("/proc is empty here");
    const std::string few = inside({"processes"}).out, many = outside({"processes"}).out;
    CHECK(few == "got 2");
    CHECK(std::atoi(many.c_str() + 4) > 2);
    CHECK(inside({"open-memory", "self"}).out == "got");
    CHECK(inside({"open-memory", pid}).out == kAbsent);
}

TEST_CASE("the kernel shows no secrets of its own", "[escape]")
{
    if (no_sandbox_here()) return;
    for (const char* path : {"/proc/kcore", "/proc/kmsg", "/proc/kpagecount", "/proc/slabinfo", "/proc/1/stack", "/proc/self/stack", "/proc/vmallocinfo"}) {
        INFO(path);
        CHECK(inside({"read", path}).out.starts_with("refused"));
    }
    CHECK(inside({"kernel-pointer"}).out.starts_with("refused"));
    CHECK(inside({"read", "/proc/version"}).out.starts_with(kernel_allows().fresh_proc ? "got" : "refused"));  // the same verb
    CHECK(inside({"read", "/proc/self/cgroup"}).out.find("escape") == std::string::npos);  // the name of its group outside
}

TEST_CASE("files of the host cannot be read", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder folder;
    REQUIRE(write_file(folder.path() + "/secret", "do not read", 0644));
    const Captured done = run_inside(shell("cat /etc/shadow /etc/passwd /etc/hostname /root/.profile " + folder.path() +
                               "/secret /oldroot/etc/passwd /proc/1/root/etc/shadow /proc/1/environ; ls /home /root /srv /var /sys /run /etc/ssl"));
    CHECK(done.out.find("root:") == std::string::npos);
    CHECK(done.out.find("do not read") == std::string::npos);
    CHECK(done.out.empty());
}

TEST_CASE("nothing outside of the private folders can be written", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder folder;
    REQUIRE(write_file(folder.path() + "/read", "old", 0666));
    SandboxSpec spec = shell("for f in /x /etc/x /usr/x /usr/bin/x /millwright/x /bin/x /dev/x /proc/sys/kernel/core_pattern /proc/sysrq-trigger " +
                             folder.path() + "/read " + folder.path() + "/new; do (echo bad > $f) 2>/dev/null && echo wrote $f; done; mount -o remount,rw / && echo remounted; "
                             "mount -t tmpfs none /usr && echo mounted; true");
    spec.mounts = {{folder.path(), folder.path(), false}};
    const Captured done = run_inside(spec);
    CHECK(done.out == "");
    CHECK(*read_file(folder.path() + "/read", 100) == "old");
    CHECK_FALSE(exists(folder.path() + "/new"));
}

TEST_CASE("processes of the host are neither seen nor reached", "[escape]")
{
    if (no_sandbox_here()) return;
    const Captured done = run_inside(shell("ls /proc | grep -c '^[0-9]'; kill -0 " + std::to_string(getpid()) + " 2>/dev/null && echo reached; cat /proc/" +
                               std::to_string(getpid()) + "/cmdline 2>/dev/null; true"));
    CHECK(std::atoi(done.out.c_str()) <= 6);
    CHECK(done.out.find("reached") == std::string::npos);
    CHECK(done.out.find("escape") == std::string::npos);
}

TEST_CASE("the environment is empty but for paths and language", "[escape]")
{
    if (no_sandbox_here()) return;
    setenv("MILL_TEST_SECRET", "from-outside", 1);
    const Captured done = run_inside(shell("env; hostname; tr '\\0' '\\n' < /proc/1/environ"));
    CHECK(done.out.find("from-outside") == std::string::npos);
    CHECK(done.out.find("sandbox") != std::string::npos);
}

TEST_CASE("no descriptor of ours is inherited but those handed over", "[escape]")
{
    if (no_sandbox_here()) return;
    const Handle open_by_mistake(open("/etc/hostname", O_RDONLY));
    const Captured done = run_inside(shell("for p in /proc/[0-9]*; do ls -l $p/fd 2>/dev/null; done"));
    CHECK(done.out.find("hostname") == std::string::npos);
    CHECK(done.out.find("cgroup") == std::string::npos);
}
