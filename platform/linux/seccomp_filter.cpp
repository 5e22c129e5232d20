#include "platform/linux/seccomp_filter.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"

namespace mill::platform {
namespace {

// Ways into the kernel that no workflow needs.
constexpr std::array kDenied = {
    "acct", "add_key", "bpf", "chroot", "clock_adjtime", "clock_settime", "delete_module", "fanotify_init", "finit_module", "fsconfig",
    "fsmount", "fsopen", "fspick", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp",
    "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mbind", "migrate_pages", "modify_ldt", "mount", "mount_setattr",
    "move_mount", "move_pages", "name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree", "perf_event_open", "personality",
    "pidfd_getfd", "pivot_root", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace", "quotactl", "quotactl_fd",
    "reboot", "request_key", "set_mempolicy", "set_mempolicy_home_node", "setdomainname", "sethostname", "setns", "settimeofday",
    "swapoff", "swapon", "syslog", "umount2", "unshare", "uselib", "userfaultfd", "vhangup", "vmsplice"};

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

Result<Handle> build(bool commands)
{
    const Filter filter(seccomp_init(SCMP_ACT_ALLOW), seccomp_release);
    if (!filter) return fail(Errc::unavailable, "libseccomp gives no filter");
    seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree: tens of nanoseconds a call
    int wrong = 0;
    const auto rule = [&](int failed) { wrong = wrong != 0 ? wrong : failed; };
    for (const char* name : kDenied) {
        const int number = seccomp_syscall_resolve_name(name);
        if (number != __NR_SCMP_ERROR) rule(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), number, 0));
    }
    for (const unsigned long flag : {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP, 0x80})  // 0x80: time
        rule(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag)));
    // Its flags lie in memory where no filter can look; without it the C library uses clone.
    rule(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0));
    for (const unsigned request : {TIOCSTI, TIOCLINUX})
        rule(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, request)));
    if (commands) {
        for (unsigned family = 0; family < 46; ++family)
            if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
                rule(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffU, family)));
        rule(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GE, 46, 0)));
    } else {
        rule(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 0));
    }
    // A pair is made by the family's own code before it says that it has no pairs.
    rule(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socketpair), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0)));
    if (wrong != 0) return fail(Errc::unavailable, fmt::format("a rule of the system call filter is refused: {}", os_error(-wrong)));
    Handle file(memfd_create("filter", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file.valid()) return fail(Errc::unavailable, fmt::format("no file in memory: {}", os_error(errno)));
    if (const int failed = seccomp_export_bpf(filter.get(), file.native()); failed != 0)
        return fail(Errc::unavailable, fmt::format("the system call filter cannot be written: {}", os_error(-failed)));
    fcntl(file.native(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    return file;
}

}  // namespace

Result<Handle> seccomp_filter(bool commands)
{
    static const Result<Handle> with = build(true), without = build(false);
    const Result<Handle>& made = commands ? with : without;
    if (!made) return fail(made.error());
    // Opened anew: a duplicate would share the position that its reader moves.
    Handle fresh(open(fmt::format("/proc/self/fd/{}", made->native()).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fresh.valid()) return fail(Errc::unavailable, fmt::format("the system call filter cannot be opened: {}", os_error(errno)));
    return fresh;
}

}  // namespace mill::platform
