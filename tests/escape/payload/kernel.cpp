// Asking the kernel for what no job needs.
#include "tests/escape/payload/payload.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace payload {
namespace {

using Bytes = std::array<char, 8192>;

/// A call by name: `&` is a zeroed buffer, `@text` a pointer to the text, all else a number.
std::string call(const Words& words)
{
    const int number = seccomp_syscall_resolve_name(words.text(0));
    if (number < 0) {
        errno = ENOSYS;
        return refused();
    }
    static std::array<Bytes, 6> buffers{};
    std::array<long, 6> value{};
    for (std::size_t at = 0; at < value.size() && at + 1 < words.size(); ++at) {
        const char* word = words.text(at + 1);
        if (*word == '&') value[at] = reinterpret_cast<long>(buffers[at].data());
        else if (*word == '@') value[at] = reinterpret_cast<long>(word + 1);
        else value[at] = static_cast<long>(words.number(at + 1));
    }
    const pid_t before = getpid();
    const long result = syscall(number, value[0], value[1], value[2], value[3], value[4], value[5]);
    if (getpid() != before || (result == 0 && std::strcmp(words.text(0), "clone") == 0)) _exit(0);
    return outcome(result);
}

/// Does a filter stand before this call? Nothing is done in either case: our own filter traces the call, there is no tracer, and
/// then the kernel says ENOSYS; a filter that refuses comes first.
std::string filtered(const Words& words)
{
    const int number = seccomp_syscall_resolve_name(words.text(0));
    errno = ENOSYS;
    if (number < 0) return refused();
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == nullptr || seccomp_rule_add(filter, SCMP_ACT_TRACE(0), number, 0) != 0 || seccomp_load(filter) != 0) return "no filter of our own";
    syscall(number, 0, 0, 0, 0, 0, 0);
    return errno == ENOSYS ? got() : refused();
}

std::string new_clone(const Words& words)
{
    clone_args what{};
    what.flags = words.number(0);
    what.exit_signal = SIGCHLD;
    const long pid = syscall(SYS_clone3, &what, sizeof what);
    if (pid == 0) _exit(0);
    return outcome(pid);
}

/// Typing into our own terminal, as an escaped program types into its caller's. `high` bits of the request are ignored by the kernel.
std::string terminal(const Words& words)
{
    setsid();
    const int master = posix_openpt(O_RDWR);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) return refused();
    const int slave = open(ptsname(master), O_RDWR);
    if (slave < 0) return refused();
    return outcome(syscall(SYS_ioctl, slave, words.number(0), "x"));
}

/// The calls of a 32-bit program, whose numbers a filter for 64 bits does not know: here getpid.
std::string old_call(const Words&)
{
#ifdef __x86_64__
    long result = 20;
    asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return got();
#else
    errno = ENOSYS;
    return refused();
#endif
}

/// The same with numbers of the x32 kind: unshare.
std::string x32_call(const Words&)
{
    constexpr long kX32 = 0x40000000;
    return outcome(syscall(kX32 | SYS_unshare, 0));
}

std::string effective_user(const Words&) { return got(std::to_string(geteuid()) + " " + std::to_string(getegid())); }

std::string execute(const Words& words)
{
    execl(words.text(0), words.text(0), words.size() > 1 ? words.text(1) : nullptr, nullptr);
    return refused();
}

/// A program that no file system has.
std::string execute_memory(const Words&)
{
    const int from = open("/proc/self/exe", O_RDONLY), memory = memfd_create("program", 0);
    if (from < 0 || memory < 0) return refused();
    char block[65536];
    for (ssize_t size = 0; (size = read(from, block, sizeof block)) > 0;)
        if (write(memory, block, static_cast<std::size_t>(size)) != size) return refused();
    const char* const arguments[] = {"program", "uid", nullptr};
    syscall(SYS_execveat, memory, "", arguments, environ, AT_EMPTY_PATH);
    return refused();
}

std::string start_thread(const Words&)
{
    bool ran = false;
    std::thread([&] { ran = true; }).join();
    return ran ? got() : "refused";
}

std::string start_child(const Words&)
{
    const pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, nullptr, 0);
    return outcome(pid);
}

std::string shared_memory(const Words& words)
{
    return outcome(shmget(static_cast<key_t>(words.number(0)), 0, 0));
}

/// PROCESS FIELD [TENTHS]: looked at after so many tenths of a second.
std::string status_of(const Words& words)
{
    usleep(static_cast<useconds_t>(words.number(2) * 100'000));
    FILE* file = fopen((std::string("/proc/") + words.text(0) + "/status").c_str(), "re");
    if (file == nullptr) return refused();
    char line[512];
    std::string out;
    while (fgets(line, sizeof line, file) != nullptr)
        if (std::strncmp(line, words.text(1), std::strlen(words.text(1))) == 0) out = std::strrchr(line, '\t') + 1;
    fclose(file);
    return got(out.substr(0, out.find('\n')));
}

std::string status(const Words& words) { return status_of(Words({"self", words.text(0)})); }

std::string write_memory(const Words& words)
{
    const int file = open((std::string("/proc/") + words.text(0) + "/mem").c_str(), O_RDWR);
    return outcome(file);
}

}  // namespace

std::vector<Verb> kernel_verbs()
{
    return {{"call", call}, {"filtered", filtered}, {"clone3", new_clone}, {"terminal", terminal}, {"int80", old_call}, {"x32", x32_call},
            {"uid", effective_user}, {"exec", execute}, {"exec-memory", execute_memory}, {"thread", start_thread}, {"child", start_child},
            {"sysv", shared_memory}, {"status", status}, {"status-of", status_of}, {"open-memory", write_memory}};
}

}  // namespace payload
