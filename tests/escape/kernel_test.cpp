// Asking the kernel for more: what the outer filter, dropped capabilities and closed user namespaces refuse.
#include <catch2/catch.hpp>

#include <csignal>

#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "platform/files.h"
#include "platform/linux/isolation.h"
#include "tests/escape/attempt.h"

using namespace mill;
using namespace mill::escape;
using namespace mill::platform;

namespace {

const std::set<Part> kFilter{Part::filter};
const std::set<Part> kFilterAndCapabilities{Part::filter, Part::capabilities};
const std::set<Part> kFilterAndUsers{Part::filter, Part::user_namespaces};
const std::set<Part> kAll{Part::filter, Part::capabilities, Part::user_namespaces};

}  // namespace

// In the control the call comes to the kernel: it does it, or finds fault with the arguments, which a filter never does.
TEST_CASE("the filter refuses what reaches other processes", "[escape]")
{
    if (no_sandbox_here()) return;
    check({{"trace another", {"call", "ptrace", "0x4206", "parent", "0", "0"}, "refused EPERM", kFilter, "got", "refused EPERM"},
           {"be traced", {"call", "ptrace", "0", "0", "0", "0"}, "refused EPERM", kFilter, "got"},
           {"read another's memory", {"call", "process_vm_readv", "parent", "&", "0", "&", "0", "0"}, "refused EPERM", kFilter, "got"},
           {"write another's memory", {"call", "process_vm_writev", "parent", "&", "0", "&", "0", "0"}, "refused EPERM", kFilter, "got"},
           {"advise another's memory", {"call", "process_madvise", "-1", "&", "1", "4", "0"}, "refused EPERM", kFilter, "refused EBADF"},
           {"take another's descriptor", {"call", "pidfd_getfd", "-1", "0", "0"}, "refused EPERM", kFilter, "refused EBADF"},
           {"compare with another", {"call", "kcmp", "self", "self", "0", "0", "0"}, "refused EPERM", kFilter, "got", "refused ENOSYS"}});
}

TEST_CASE("the filter refuses parts of the kernel that no job needs", "[escape]")
{
    if (no_sandbox_here()) return;
    check({{"add a key", {"call", "add_key", "@user", "@mill", "@text", "4", "-2"}, "refused EPERM", kFilter, "got", "refused ENOSYS"},
           {"keyctl", {"call", "keyctl", "0", "-1", "1"}, "refused EPERM", kFilter, "got", "refused ENOSYS"},
           {"request a key", {"call", "request_key", "@user", "@mill-none", "0", "0"}, "refused EPERM", kFilter, "refused ENOKEY", "refused ENOSYS"},
           {"io_uring", {"call", "io_uring_setup", "1", "&"}, "refused EPERM", kFilter, "got", "refused ENOSYS|refused EPERM"},
           {"io_uring by its other call", {"call", "io_uring_enter", "-1", "0", "0", "0"}, "refused EPERM", kFilter, "refused EBADF", "refused ENOSYS"},
           {"userfaultfd", {"call", "userfaultfd", "1"}, "refused EPERM", kFilter, "got", "refused ENOSYS"},
           {"bpf", {"call", "bpf", "1", "&", "8192"}, "refused EPERM", kFilter, "refused E2BIG", "refused ENOSYS"},
           {"perf", {"call", "perf_event_open", "&", "0", "-1", "-1", "-1"}, "refused EPERM", kFilter, "refused EINVAL", "refused ENOSYS"},
           {"personality", {"call", "personality", "0xffffffff"}, "refused EPERM", kFilter, "got"},
           {"local descriptor table", {"call", "modify_ldt", "0", "&", "16"}, "refused EPERM", kFilter, "got", "refused ENOSYS"},
           {"open by handle", {"call", "open_by_handle_at", "-100", "&", "0"}, "refused EPERM", kFilterAndCapabilities, "refused EINVAL|refused ESTALE", "refused ENOSYS|refused EPERM"},
           {"handle of a name", {"call", "name_to_handle_at", "-100", "@/usr", "&", "&", "0"}, "refused EPERM", kFilter, "refused EOVERFLOW", "refused ENOSYS|refused EOPNOTSUPP"},
           {"move memory between nodes", {"call", "move_pages", "self", "0", "0", "0", "0", "0"}, "refused EPERM", kFilter, "got|refused ENOENT", "refused ENOSYS"},
           {"type into a terminal", {"terminal", "0x5412"}, "refused EPERM", kFilter, "got", "refused EIO|refused ENOENT"},
           {"the same with high bits", {"terminal", "0x700005412"}, "refused EPERM", kFilter, "got", "refused EIO|refused ENOENT"},
           {"console request", {"terminal", "0x541c"}, "refused EPERM", kFilter, "refused ENOTTY", "refused ENOENT"}});
}

// No user namespace gives the right to these, so no control can do them; and nobody may come near doing them. The payload's own
// filter stops the call unless the sandbox's refused it before.
TEST_CASE("the filter refuses what changes the machine", "[escape]")
{
    if (no_sandbox_here()) return;
    for (const char* name : {"acct", "swapon", "swapoff", "reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
                             "settimeofday", "clock_settime", "clock_adjtime", "syslog", "quotactl", "iopl", "ioperm", "vhangup", "fanotify_init", "mbind",
                             "set_mempolicy", "migrate_pages", "vmsplice"})
        check({{name, {"filtered", name}, "refused EPERM", kFilter, "got", "refused ENOSYS"}});
}

TEST_CASE("no new namespace, root or mount", "[escape]")
{
    if (no_sandbox_here()) return;
    check({{"unshare what is harmless", {"call", "unshare", "0x200"}, "refused EPERM", kFilter, "got"},
           {"a user namespace by unshare", {"call", "unshare", "0x10000000"}, "refused EPERM", kFilterAndUsers, "got"},
           {"a user namespace by clone", {"call", "clone", "0x10000011", "0", "0", "0", "0"}, "refused EPERM", kFilterAndUsers, "got"},
           {"a user namespace by clone3", {"clone3", "0x10000000"}, "refused ENOSYS", kFilterAndUsers, "got"},
           {"a mount namespace", {"call", "unshare", "0x20000"}, "refused EPERM", kAll, "got"},
           {"a network namespace by clone", {"call", "clone", "0x40000011", "0", "0", "0", "0"}, "refused EPERM", kAll, "got"},
           {"another's namespace", {"call", "setns", "-1", "0"}, "refused EPERM", kFilter, "refused EBADF"},
           {"mount", {"--own-namespaces", "call", "mount", "@none", "@/tmp", "@tmpfs", "0", "0"}, "refused EPERM", kAll, "got"},
           {"mount of what is not there", {"call", "mount", "@none", "@/nowhere", "@tmpfs", "0", "0"}, "refused EPERM", kFilter, "refused ENOENT"},
           {"umount", {"--own-namespaces", "call", "umount2", "@/work", "2"}, "refused EPERM", kAll, "refused EINVAL"},
           {"pivot_root", {"--own-namespaces", "call", "pivot_root", "@/nowhere", "@/nowhere"}, "refused EPERM", kAll, "refused ENOENT"},
           {"chroot", {"call", "chroot", "@/work"}, "refused EPERM", kAll, "got"},
           {"open_tree", {"call", "open_tree", "-100", "@/", "0"}, "refused EPERM", kFilter, "got", "refused ENOSYS"},
           {"fsopen", {"--own-namespaces", "call", "fsopen", "@tmpfs", "0"}, "refused EPERM", kAll, "got", "refused ENOSYS"},
           {"fsmount", {"--own-namespaces", "call", "fsmount", "-1", "0", "0"}, "refused EPERM", kAll, "refused EBADF", "refused ENOSYS"},
           {"move_mount", {"--own-namespaces", "call", "move_mount", "-1", "@", "-1", "@", "0"}, "refused EPERM", kAll, "refused ENOENT|refused EBADF", "refused ENOSYS"},
           {"mount_setattr", {"call", "mount_setattr", "-1", "@", "-1", "0", "0"}, "refused EPERM", kFilter, "refused EINVAL", "refused ENOSYS"},
           {"a control group's files", {"--own-namespaces", "call", "mount", "@none", "@/tmp", "@cgroup2", "0", "0"}, "refused EPERM", kAll, "got", "refused ENODEV|refused EPERM|refused EBUSY"},
           {"another host name", {"--own-namespaces", "call", "sethostname", "@x", "1"}, "refused EPERM", kAll, "got"}});
}

TEST_CASE("without the filter a second wall stands", "[escape]")
{
    if (no_sandbox_here()) return;
    const auto seen = [](Words words) { return without(kFilter, payload(std::move(words))).out; };
    CHECK(seen({"call", "mount", "@none", "@/tmp", "@tmpfs", "0", "0"}) == "refused EPERM");
    CHECK(seen({"call", "umount2", "@/work", "2"}) == "refused EPERM");
    CHECK(seen({"call", "sethostname", "@x", "1"}) == "refused EPERM");
    if (!kernel_allows().disable_userns) return skip("user namespaces cannot be closed on this machine: only the filter refuses them");
    CHECK(seen({"call", "unshare", "0x10000000"}) == "refused ENOSPC");
    CHECK(seen({"clone3", "0x10000000"}) == "refused ENOSPC");
}

TEST_CASE("without capabilities dropped the filter alone still refuses", "[escape]")
{
    if (no_sandbox_here()) return;
    const auto seen = [](Words words) { return without({Part::capabilities, Part::user_namespaces}, payload(std::move(words))).out; };
    for (const char* name : {"mount", "umount2", "pivot_root", "chroot", "setns", "sethostname", "reboot", "unshare"}) {
        INFO(name);
        CHECK(seen({"call", name, "0", "0", "0", "0", "0"}) == "refused EPERM");
    }
}

#ifdef __x86_64__
TEST_CASE("calls of another architecture end the program", "[escape]")
{
    if (no_sandbox_here()) return;
    const Captured old = without(kFilter, payload({"int80"}));
    if (old.out != "got") skip("this kernel runs no 32-bit calls");
    else CHECK(inside({"int80"}).ending.signal == SIGSYS);
    CHECK(without(kFilter, payload({"x32"})).ending.signal == 0);
    CHECK(inside({"x32"}).ending.signal == SIGSYS);
}
#endif

TEST_CASE("no right is gained by a program of another user", "[escape]")
{
    if (no_sandbox_here()) return;
    if (geteuid() != 0) return skip("only root can make a program that is another user's");
    const Folder folder;
    struct statvfs where {};
    REQUIRE(statvfs(folder.path().c_str(), &where) == 0);
    if ((where.f_flag & ST_NOSUID) != 0) return skip("the folder for temporary files is mounted without setuid");
    const std::string program = folder.put("setuid", *read_file(MILL_ESCAPE_PAYLOAD, 64UL * 1024 * 1024), 0755);
    constexpr unsigned kOther = 12345;
    REQUIRE(chown(program.c_str(), kOther, kOther) == 0);
    REQUIRE(chmod(program.c_str(), 06755) == 0);
    const User user = runs_as();
    const auto names = [](unsigned uid, unsigned gid) { return "got " + std::to_string(uid) + " " + std::to_string(gid); };
    CHECK(outside({"exec", program, "uid"}).out == names(kOther, kOther));
    SandboxSpec spec = payload({"exec", program, "uid"});
    spec.mounts = {{program, program, false}};
    CHECK(run_inside(spec).out == names(user.uid, user.gid));
}

TEST_CASE("what a process has of rights is nothing, and stays so", "[escape]")
{
    if (no_sandbox_here()) return;
    const std::string none = "got 0000000000000000";
    for (const char* field : {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"}) {
        INFO(field);
        CHECK(inside({"status", field}).out == none);
    }
    CHECK(without({Part::capabilities}, payload({"status", "CapEff:"})).out != none);
    CHECK(inside({"status", "NoNewPrivs:"}).out == "got 1");
    CHECK(outside({"status", "NoNewPrivs:"}).out == "got 0");
    CHECK(inside({"status", "Seccomp:"}).out == "got 2");
    CHECK(inside({"read", "/proc/1/status"}).out == "got Name:\tbwrap");
    // It starts us and then puts on its own: a moment later.
    check({{"the first process has the filter, too", {"status-of", "1", "Seccomp:", "20"}, "got 2", kFilter, "got 0"},
           {"another uid", {"call", "setuid", "0"}, "refused EINVAL|refused EPERM", {}, "refused EPERM"}});
}

TEST_CASE("shared memory of the host is not there", "[escape]")
{
    if (no_sandbox_here()) return;
    const key_t key = static_cast<key_t>(0x4d000000 | (getpid() & 0xffffff));
    const int id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0666);
    REQUIRE(id >= 0);
    check({{"a segment by its key", {"sysv", std::to_string(key)}, "refused ENOENT", {Part::ipc}, "got"}});
    shmctl(id, IPC_RMID, nullptr);
}

TEST_CASE("no further namespaces, tracing or keys", "[escape]")
{
    if (no_sandbox_here()) return;
    const Captured done = run_inside(shell("unshare -U true 2>/dev/null && echo user; unshare -n true 2>/dev/null && echo net; unshare -r -m true 2>/dev/null && echo mount; "
                               "cat /proc/sys/user/max_user_namespaces > /dev/null; grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status"));
    CHECK_THAT(done.out, !Catch::Contains("user\n") && !Catch::Contains("net\n") && !Catch::Contains("mount\n"));
    CHECK_THAT(done.out, Catch::Contains("CapEff:\t0000000000000000") && Catch::Contains("CapBnd:\t0000000000000000") && Catch::Contains("NoNewPrivs:\t1") && Catch::Contains("Seccomp:\t2"));
}
