// Each case confines a child of its own: it cannot be undone.
#include <catch2/catch.hpp>

#include <cerrno>
#include <functional>
#include <initializer_list>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/confine.h"

using mill::platform::Confinement;
using mill::platform::confine;

namespace {

/// What `attempt` returns in a confined child: 0 to 99; 100 when it could not be confined.
int confined(const Confinement& how, const std::function<int()>& attempt)
{
    const pid_t child = ::fork();
    if (child == 0) ::_exit(confine(how) ? attempt() : 100);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

int refused(long result) { return result < 0 && errno == EPERM ? 0 : 1; }

int start_true()
{
    char name[] = "true";
    char* const words[] = {name, nullptr};
    ::execv("/bin/true", words);
    return errno == EPERM ? 0 : 1;
}

int child_that_runs_true()
{
    const pid_t child = ::fork();
    if (child < 0) return 1;
    if (child == 0) ::_exit(start_true());
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 2;
}

}  // namespace

TEST_CASE("without commands no program starts, by no way", "[runner][confine]")
{
    CHECK(confined({}, start_true) == 0);
    CHECK(confined({}, [] { return refused(::fork()); }) == 0);
    CHECK(confined({}, [] { return refused(::syscall(SYS_execveat, AT_FDCWD, "/bin/true", nullptr, nullptr, 0)); }) == 0);
}

TEST_CASE("without commands there is no socket, not even a local one", "[runner][confine]")
{
    for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK}) CHECK(confined({}, [=] { return refused(::socket(family, SOCK_STREAM, 0)); }) == 0);
    CHECK(confined({}, [] { return refused(::connect(0, nullptr, 0)); }) == 0);
}

TEST_CASE("files and threads work on, unless files are taken away", "[runner][confine]")
{
    CHECK(confined({}, [] { return ::open("/etc/hostname", O_RDONLY) >= 0 ? 0 : 1; }) == 0);
    CHECK(confined({.open_files = false}, [] { return refused(::open("/etc/hostname", O_RDONLY)); }) == 0);
    CHECK(confined({}, [] {
              int done = 0;
              std::jthread([&] { done = 1; }).join();
              return done == 1 ? 0 : 1;
          }) == 0);
}

TEST_CASE("with commands programs start, and the ways out of the sandbox stay closed", "[runner][confine]")
{
    const Confinement commands{.commands = true};
    CHECK(confined(commands, child_that_runs_true) == 0);
    CHECK(confined(commands, [] { return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : 1; }) == 0);
    CHECK(confined(commands, [] { return refused(::socket(AF_INET, SOCK_STREAM, 0)); }) == 0);
    CHECK(confined(commands, [] { return refused(::unshare(CLONE_NEWUSER)); }) == 0);
    CHECK(confined(commands, [] { return refused(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }) == 0);
    CHECK(confined(commands, [] { return refused(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr)); }) == 0);
    CHECK(confined(commands, [] { return refused(::syscall(SYS_bpf, 0, nullptr, 0)); }) == 0);
}

TEST_CASE("with the bridge there is TCP over IPv4 beside local sockets, and no other kind", "[runner][confine]")
{
    const Confinement bridge{.commands = true, .bridge = true};
    CHECK(confined(bridge, [] { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) >= 0 ? 0 : 1; }) == 0);
    CHECK(confined(bridge, [] { return ::socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) >= 0 ? 0 : 1; }) == 0);
    CHECK(confined(bridge, [] { return ::socket(AF_UNIX, SOCK_DGRAM, 0) >= 0 ? 0 : 1; }) == 0);
    for (const int type : std::initializer_list<int>{SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET, 0, 15, SOCK_DGRAM | SOCK_CLOEXEC})
        CHECK(confined(bridge, [=] { return refused(::socket(AF_INET, type, 0)); }) == 0);
    for (const int protocol : std::initializer_list<int>{IPPROTO_ICMP, IPPROTO_UDP, IPPROTO_SCTP, 262 /* MPTCP */, 5, 7, -1})
        CHECK(confined(bridge, [=] { return refused(::socket(AF_INET, SOCK_STREAM, protocol)); }) == 0);
    for (const int family : std::initializer_list<int>{0, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, -1}) CHECK(confined(bridge, [=] { return refused(::socket(family, SOCK_STREAM, 0)); }) == 0);
    CHECK(confined(bridge, [] { return refused(::syscall(SYS_socket, 0x100000002UL, SOCK_STREAM, 0)); }) == 0);
    CHECK(confined(bridge, [] { return refused(::unshare(CLONE_NEWUSER)); }) == 0);
    CHECK(confined(bridge, child_that_runs_true) == 0);
    CHECK(confined({.bridge = true}, [] { return refused(::socket(AF_INET, SOCK_STREAM, 0)); }) == 0);
}

TEST_CASE("a second confinement narrows the first, in all threads", "[runner][confine]")
{
    CHECK(confined({.commands = true}, [] {
              int late = 1;
              int started = 0;
              std::jthread other([&] {
                  while (__atomic_load_n(&started, __ATOMIC_ACQUIRE) == 0) ::sched_yield();
                  late = refused(::socket(AF_UNIX, SOCK_STREAM, 0));
              });
              const bool narrowed = confine({}).has_value();
              __atomic_store_n(&started, 1, __ATOMIC_RELEASE);
              other.join();
              return narrowed ? late + start_true() : 3;
          }) == 0);
}
