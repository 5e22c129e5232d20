#include "platform/confine.h"

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <memory>

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <fmt/core.h>

#include "platform/base/os_error.h"
#include "platform/base/units.h"

namespace mill::platform {
namespace {

// What an interpreter and its libraries need that reads messages, computes and keeps time.
constexpr std::initializer_list<const char*> kComputing = {
    "read", "write", "readv", "writev", "pread64", "pwrite64", "close", "close_range", "lseek", "fstat", "fcntl", "dup", "dup3",
    "pipe2", "poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2",
    "timerfd_create", "timerfd_settime", "timerfd_gettime", "sendmsg", "recvmsg", "sendto", "recvfrom", "sendmmsg", "recvmmsg",
    "shutdown", "getsockopt", "setsockopt", "getsockname", "getpeername", "mmap", "munmap", "mremap", "mprotect",
    "madvise", "brk", "futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq", "sched_yield", "sched_getaffinity",
    "sched_getparam", "sched_getscheduler", "getpriority", "setpriority", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigtimedwait", "sigaltstack", "restart_syscall", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
    "gettimeofday", "time", "times", "getitimer", "setitimer", "alarm", "timer_create", "timer_settime", "timer_delete",
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getgroups", "getresuid", "getresgid", "getrusage",
    "getrlimit", "prlimit64", "uname", "sysinfo", "getrandom", "getcpu", "membarrier", "set_tid_address", "arch_prctl", "exit",
    "exit_group", "tgkill", "kill", "memfd_create", "fsync", "fdatasync", "ftruncate", "fallocate", "seccomp", "prctl",
};

constexpr std::initializer_list<const char*> kFiles = {
    "open", "openat", "openat2", "creat", "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "getdents64", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "getcwd",
    "chdir", "fchdir", "umask", "fchmod", "chmod", "fchmodat", "utimensat", "statfs", "fstatfs", "flock", "truncate", "copy_file_range",
    "sendfile",
};

// With commands granted programs of any kind run under this filter: it takes away the ways out, not the ways to work.
constexpr std::initializer_list<const char*> kWaysOut = {
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp", "bpf", "perf_event_open",
    "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key", "request_key", "mount", "umount2",
    "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "pivot_root", "chroot", "unshare", "setns",
    "swapon", "swapoff", "reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "acct",
    "quotactl", "nfsservctl", "open_by_handle_at", "name_to_handle_at", "syslog", "settimeofday", "clock_settime", "adjtimex",
    "clock_adjtime", "lookup_dcookie", "fanotify_init", "personality", "sethostname", "setdomainname", "iopl", "ioperm", "vhangup",
};

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

void rule(const Filter& filter, std::uint32_t action, const char* name)
{
    const int number = ::seccomp_syscall_resolve_name(name);
    if (number != __NR_SCMP_ERROR) ::seccomp_rule_add(filter.get(), action, number, 0);
}

/// Netlink stays: the C library asks it which addresses the machine has when it sorts those of a host.
void refuse_other_families(const Filter& filter, std::uint32_t action)
{
    constexpr unsigned kFamilies = 46;
    for (unsigned family = 0; family < kFamilies; ++family)
        if (family != AF_UNIX && family != AF_INET && family != AF_INET6 && family != AF_NETLINK)
            ::seccomp_rule_add(filter.get(), action, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffU, family));
    ::seccomp_rule_add(filter.get(), action, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GE, kFamilies, 0));
}

Status load(const Filter& filter)
{
    if (const int failed = ::seccomp_load(filter.get()); failed != 0)
        return fail(Errc::unavailable, fmt::format("cannot install a system call filter: {}", os_error(-failed)));
    return {};
}

/// Families 1 and 2 are local and IPv4; of IPv4 only TCP is left. An argument can be looked at once in a rule, so all else is listed.
void only_tcp_and_local(const Filter& filter, std::uint32_t refuse)
{
    static_assert(AF_UNIX == 1 && AF_INET == 2 && SOCK_STREAM == 1 && IPPROTO_TCP == 6);
    ::seccomp_rule_add(filter.get(), refuse, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, 0, 0));
    ::seccomp_rule_add(filter.get(), refuse, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_INET, 0));
    for (std::uint64_t type = 0; type < 16; ++type)  // above these bits stand flags
        if (type != SOCK_STREAM) ::seccomp_rule_add(filter.get(), refuse, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_INET, 0), SCMP_A1(SCMP_CMP_MASKED_EQ, 15, type));
    for (std::uint64_t protocol = 1; protocol < IPPROTO_TCP; ++protocol)
        ::seccomp_rule_add(filter.get(), refuse, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_INET, 0), SCMP_A2(SCMP_CMP_EQ, protocol, 0));
    ::seccomp_rule_add(filter.get(), refuse, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_INET, 0), SCMP_A2(SCMP_CMP_GT, IPPROTO_TCP, 0));
}

constexpr std::uint64_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
                                         CLONE_NEWCGROUP;

}  // namespace

Status confine(const Confinement& what)
{
    pthread_attr_t usual;  // for threads that come: the first one's stack may be much larger (sandbox.cpp)
    if (::pthread_attr_init(&usual) == 0) {
        ::pthread_attr_setstacksize(&usual, mebibytes(8).bytes);
        ::pthread_setattr_default_np(&usual);
        ::pthread_attr_destroy(&usual);
    }
    const std::uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
    const Filter filter(::seccomp_init(what.commands ? SCMP_ACT_ALLOW : refuse), ::seccomp_release);
    if (!filter) return fail(Errc::unavailable, "cannot make a system call filter");
    ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree: tens of nanoseconds a call
    ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);     // all threads, should there be others already
    if (what.commands) {
        for (const char* name : kWaysOut) rule(filter, refuse, name);
        if (what.internet) refuse_other_families(filter, refuse);
        else if (what.bridge) only_tcp_and_local(filter, refuse);
        else ::seccomp_rule_add(filter.get(), refuse, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
        ::seccomp_rule_add(filter.get(), refuse, SCMP_SYS(socketpair), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
        ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);  // its flags cannot be looked at
        for (std::uint64_t flag : {CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP})
            ::seccomp_rule_add(filter.get(), refuse, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
        return load(filter);
    }
    for (const char* name : kComputing) rule(filter, SCMP_ACT_ALLOW, name);
    if (what.open_files)
        for (const char* name : kFiles) rule(filter, SCMP_ACT_ALLOW, name);
    else  // fstat() is this one
        ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH, 0));
    ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
    // Threads, not processes.
    ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                       SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | kNewNamespaces, CLONE_THREAD));
    ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return load(filter);
}

void hide_memory()
{
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace mill::platform
