// The inner filter: what a runner may still ask for once it has confined itself, inside the sandbox with its outer one.
#include <catch2/catch.hpp>

#include "tests/escape/attempt.h"

using namespace mill;
using namespace mill::escape;

namespace {

std::string confined(const char* how, Words words)
{
    words.insert(words.begin(), how);
    return inside(std::move(words)).out;
}

/// Refused to the one who has confined itself; the same sandbox without that lets it pass.
void refused_when(const char* how, const Words& words, const std::string& refused, const std::string& control)
{
    INFO(how << " " << words.front() << " " << words.back());
    CHECK(matches(inside(words).out, control));
    CHECK(confined(how, words) == refused);
}

}  // namespace

TEST_CASE("without commands nothing is started", "[escape]")
{
    if (no_sandbox_here()) return;
    constexpr const char* kNo = "refused EPERM";
    refused_when("--confined", {"exec", "/millwright/escape_payload", "uid"}, kNo, "got *");
    refused_when("--confined", {"exec-memory"}, kNo, "got *");
    refused_when("--confined", {"child"}, kNo, "got");
    refused_when("--confined", {"call", "fork"}, kNo, "got");
    refused_when("--confined", {"filtered", "vfork"}, kNo, "got");  // really called, its child would use our stack
    refused_when("--confined", {"call", "clone", "0x11", "0", "0", "0", "0"}, kNo, "got");
    refused_when("--confined", {"clone3", "0"}, "refused ENOSYS", "refused ENOSYS");  // the outer one says so, too
    CHECK(confined("--confined", {"thread"}) == "got");
}

TEST_CASE("without commands only named calls remain", "[escape]")
{
    if (no_sandbox_here()) return;
    constexpr const char* kNo = "refused EPERM";
    const std::vector<Words> calls{{"socket", "1", "1", "0"},
                                   {"socket", "2", "2", "0"},
                                   {"call", "shmget", "0", "4096", "0x380"},
                                   {"call", "msgget", "0", "0x380"},
                                   {"call", "mq_open", "@mill", "0x40", "0x180", "0"},
                                   {"call", "inotify_init1", "0"},
                                   {"call", "pidfd_open", "self", "0"},
                                   {"call", "memfd_secret", "0"},
                                   {"call", "mknod", "@/work/pipe", "0x1180", "0"},
                                   {"call", "symlink", "@/etc", "@/work/link"},
                                   {"call", "setxattr", "@/work", "@user.mill", "@x", "1", "0"},
                                   {"call", "setuid", "self"},
                                   {"call", "sched_setscheduler", "0", "9", "&"},
                                   {"call", "landlock_create_ruleset", "0", "0", "1"},
                                   {"call", "io_setup", "1", "&"},
                                   {"call", "mlockall", "4"},
                                   {"call", "ioctl", "0", "0x5401", "&"}};
    for (const Words& call : calls) {
        INFO(call[0] << " " << call[1]);
        const std::string control = inside(call).out;
        if (control == "refused ENOSYS" || control == kNo) skip("nothing to refuse: " + call[1] + " is " + control + " without the inner filter");
        CHECK(confined("--confined", call) == kNo);
    }
    const Words pair{"socketpair", "2", "1"};  // the outer filter refuses this one, too: without it
    CHECK(without({Part::filter}, payload(pair)).out == "refused EOPNOTSUPP");
    CHECK(without({Part::filter}, payload({"--confined", "socketpair", "2", "1"})).out == kNo);
    CHECK(confined("--confined", {"socketpair", "1", "1"}) == "got");
    CHECK(confined("--confined", {"fill", "/work/file", "1"}) == "got 1");
}

TEST_CASE("with files closed nothing is opened", "[escape]")
{
    if (no_sandbox_here()) return;
    constexpr const char* kNo = "refused EPERM";
    refused_when("--confined-files", {"read", "/etc/ld.so.cache"}, kNo, "got *");
    refused_when("--confined-files", {"write", "/work/file"}, kNo, "got");
    refused_when("--confined-files", {"list", "/work"}, kNo, "got 0");
    refused_when("--confined-files", {"rename", "/work/a", "/work/b"}, kNo, "refused ENOENT");
    CHECK(confined("--confined-files", {"heap", "4"}) == "got");
}

TEST_CASE("with commands the ways out are closed once more", "[escape]")
{
    if (no_sandbox_here()) return;
    // Without the outer filter: this one alone has to do it.
    const auto seen = [](Words words) { return without({Part::filter}, payload(std::move(words))).out; };
    for (const char* name : {"ptrace", "process_vm_readv", "pidfd_getfd", "kcmp", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "keyctl", "add_key",
                             "request_key", "mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "mount_setattr", "pivot_root", "chroot",
                             "unshare", "setns", "swapon", "reboot", "kexec_load", "init_module", "acct", "open_by_handle_at", "name_to_handle_at", "syslog",
                             "clock_settime", "fanotify_init", "personality", "sethostname"}) {
        INFO(name);
        CHECK(seen({"filtered", name}) == "got");
        CHECK(seen({"--confined-commands", "filtered", name}) == "refused EPERM");
    }
    CHECK(seen({"call", "clone", "0x10000011", "0", "0", "0", "0"}) != "refused EPERM");
    CHECK(seen({"--confined-commands", "call", "clone", "0x10000011", "0", "0", "0", "0"}) == "refused EPERM");
    refused_when("--confined-commands", {"socket", "2", "1", "0"}, "refused EPERM", "got");
    refused_when("--confined-commands", {"socket", "10", "1", "0"}, "refused EPERM", "got");
    CHECK(seen({"socketpair", "2", "1"}) == "refused EOPNOTSUPP");
    CHECK(seen({"--confined-commands", "socketpair", "2", "1"}) == "refused EPERM");
    CHECK(confined("--confined-commands", {"exec", "/millwright/escape_payload", "uid"}).starts_with("got"));
    CHECK(confined("--confined-commands", {"socket", "1", "1", "0"}) == "got");
}

TEST_CASE("with the bridge to the broker there is TCP over IPv4, and nobody but this sandbox is reached by it", "[escape]")
{
    if (no_sandbox_here()) return;
    constexpr const char* kNo = "refused EPERM";
    CHECK(confined("--confined-bridge", {"socket", "2", "1", "0"}) == "got");
    CHECK(confined("--confined-bridge", {"socket", "1", "1", "0"}) == "got");
    refused_when("--confined-bridge", {"socket", "2", "2", "0"}, kNo, "got");
    refused_when("--confined-bridge", {"socket", "10", "1", "0"}, kNo, "got|refused EAFNOSUPPORT");
    refused_when("--confined-bridge", {"call", "socket", "2", "0x80002", "0"}, kNo, "got");
    refused_when("--confined-bridge", {"call", "socket", "2", "1", "262"}, kNo, "got|refused EPROTONOSUPPORT|refused ENOPROTOOPT");
    // Nobody listens in there, and there is no way out.
    CHECK(matches(confined("--confined-bridge", {"tcp", "127.0.0.1", "3128"}), "refused ECONNREFUSED"));
    for (const char* address : {"169.254.169.254", "1.1.1.1", "10.0.0.1"}) CHECK(confined("--confined-bridge", {"tcp", address, "80"}) == "refused ENETUNREACH");
}
