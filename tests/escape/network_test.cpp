// Reaching somebody: the host's loopback, its sockets, the network, and kinds of sockets that no job needs.
#include <catch2/catch.hpp>

#include <cstring>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/files.h"
#include "tests/escape/attempt.h"

using namespace mill;
using namespace mill::escape;
using namespace mill::platform;

namespace {

const std::set<Part> kNetwork{Part::network};
const std::set<Part> kFilter{Part::filter};
const std::set<Part> kAll{Part::filter, Part::capabilities, Part::user_namespaces};

/// Listens outside, at any port.
struct Listener {
    Handle end;
    std::string port;

    Listener(int family, int type) : end(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))
    {
        sockaddr_in6 six{};
        sockaddr_in four{};
        six.sin6_family = AF_INET6;
        four.sin_family = AF_INET;
        const bool is_six = family == AF_INET6;
        auto* address = is_six ? reinterpret_cast<sockaddr*>(&six) : reinterpret_cast<sockaddr*>(&four);
        socklen_t size = is_six ? sizeof six : sizeof four;
        if (!end.valid() || bind(end.native(), address, size) != 0 || (type == SOCK_STREAM && listen(end.native(), 64) != 0) ||
            getsockname(end.native(), address, &size) != 0)
            return;
        port = std::to_string(ntohs(is_six ? six.sin6_port : four.sin_port));
    }
    bool heard() const
    {
        char byte = 0;
        return recv(end.native(), &byte, 1, 0) == 1;
    }
};

Handle local_listener(const std::string& path, bool abstract)
{
    Handle end(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path + (abstract ? 1 : 0), path.c_str(), sizeof address.sun_path - 2);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + (abstract ? 1 : 0) + path.size());
    REQUIRE(bind(end.native(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(end.native(), 64) == 0);
    if (!abstract) chmod(path.c_str(), 0777);
    return end;
}

/// An address of this machine that is not loopback.
std::string own_address()
{
    ifaddrs* all = nullptr;
    std::string found;
    if (getifaddrs(&all) != 0) return found;
    for (const ifaddrs* one = all; one != nullptr && found.empty(); one = one->ifa_next) {
        if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET || (one->ifa_flags & IFF_LOOPBACK) != 0 || (one->ifa_flags & IFF_UP) == 0) continue;
        char text[INET_ADDRSTRLEN] = {};
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr, text, sizeof text);
        found = text;
    }
    freeifaddrs(all);
    return found;
}

}  // namespace

TEST_CASE("the host's own servers are not reached, however their address is spelt", "[escape]")
{
    if (no_sandbox_here()) return;
    const Listener four(AF_INET, SOCK_STREAM), six(AF_INET6, SOCK_STREAM);
    REQUIRE(!four.port.empty());
    const std::string nobody = "refused ECONNREFUSED|refused ENETUNREACH|refused EADDRNOTAVAIL";
    check({{"loopback", {"tcp", "127.0.0.1", four.port}, nobody, kNetwork, "got"},
           {"another loopback address", {"tcp", "127.77.0.9", four.port}, nobody, kNetwork, "got"},
           {"the address of none", {"tcp", "0.0.0.0", four.port}, nobody, kNetwork, "got"},
           {"loopback as an address of IPv6", {"tcp", "::ffff:127.0.0.1", four.port}, nobody, kNetwork, "got", "refused EAFNOSUPPORT"}});
    if (six.port.empty()) skip("this machine has no IPv6");
    else check({{"IPv6 loopback", {"tcp", "::1", six.port}, nobody, kNetwork, "got", "refused EADDRNOTAVAIL|refused EAFNOSUPPORT"}});
    if (const std::string own = own_address(); own.empty()) skip("this machine has no address but loopback");
    else check({{"an outer address of the host", {"tcp", own, four.port}, nobody, kNetwork, "got"}});
}

// Only whether there is a way: nothing is sent, also not by the control.
TEST_CASE("there is no way out", "[escape]")
{
    if (no_sandbox_here()) return;
    const std::string none = "refused ENETUNREACH";
    for (const char* address : {"169.254.169.254", "1.1.1.1", "10.0.0.1", "192.168.0.1", "2001:4860:4860::8888"})
        check({{std::string("a way to ") + address, {"way", address, "53"}, none + "|refused EACCES|refused EADDRNOTAVAIL", kNetwork, "got", none + "|refused EACCES|refused EADDRNOTAVAIL"}});
    CHECK(inside({"resolve", "localhost.example.invalid"}).out.starts_with("refused"));
    CHECK(inside({"read", "/etc/resolv.conf"}).out == "refused ENOENT");
    CHECK(outside({"read", "/etc/resolv.conf"}).out != "refused ENOENT");
}

TEST_CASE("a datagram does not arrive outside", "[escape]")
{
    if (no_sandbox_here()) return;
    const Listener listener(AF_INET, SOCK_DGRAM);
    const Words words{"datagram", "127.0.0.1", listener.port};
    inside(words);
    CHECK_FALSE(listener.heard());
    CHECK(without(kNetwork, payload(words)).out == "got");
    CHECK(listener.heard());
}

TEST_CASE("local sockets of the host, as X11 and D-Bus have them, are not reached", "[escape]")
{
    if (no_sandbox_here()) return;
    const Folder folder;
    const std::string name = "mill-escape-" + std::to_string(getpid());
    const Handle abstract = local_listener(name, true);
    const Handle path = local_listener(folder.path() + "/bus", false);
    check({{"an abstract name", {"local", "@" + name}, "refused ECONNREFUSED", kNetwork, "got"},
           {"a path", {"local", folder.path() + "/bus"}, "refused ENOENT", {}, "got"}});
    // A granted folder is granted with the sockets in it, also read-only: the right to make a socket is what is missing.
    SandboxSpec spec = payload({"local", folder.path() + "/bus"});
    spec.mounts = {{folder.path(), folder.path(), false}};
    CHECK(run_inside(spec).out == "got");
    spec.arguments.insert(spec.arguments.begin(), "--confined");
    CHECK(run_inside(spec).out == "refused EPERM");
    spec.arguments.erase(spec.arguments.begin());
    spec.commands = false;
    CHECK(run_inside(spec).out == "refused EACCES");
}

TEST_CASE("kinds of sockets that no job needs are not made", "[escape]")
{
    if (no_sandbox_here()) return;
    constexpr const char* kNone = "refused EAFNOSUPPORT";
    check({{"netlink", {"socket", "16", "3", "0"}, kNone, kFilter, "got"},
           {"the same with high bits", {"call", "socket", "0x700000010", "3", "0"}, kNone, kFilter, "got"},
           {"packets", {"--own-namespaces", "socket", "17", "3", "0"}, kNone, kAll, "got", kNone},
           {"raw IP", {"--own-namespaces", "socket", "2", "3", "1"}, "refused EPERM", kAll, "got"},
           {"raw IPv6", {"--own-namespaces", "socket", "10", "3", "58"}, "refused EPERM", kAll, "got", kNone}});
    // A kind of 15 does not exist: without the filter the kernel says so before it looks for the family, and loads no module.
    for (const char* family : {"3", "5", "15", "29", "30", "31", "38", "40", "43", "44"})
        check({{std::string("family ") + family, {"socket", family, "15", "0"}, kNone, kFilter, "refused EINVAL"},
               {std::string("a pair of family ") + family, {"socketpair", family, "15"}, kNone, kFilter, "refused EINVAL"}});
    CHECK(inside({"socketpair", "1", "1"}).out == "got");
}

TEST_CASE("a job without commands makes no socket but a pair for itself", "[escape]")
{
    if (no_sandbox_here()) return;
    for (const char* family : {"1", "2", "10", "16", "17", "38", "40"}) {
        INFO("family " << family);
        SandboxSpec spec = payload({"socket", family, "2", "0"});
        spec.commands = false;
        CHECK(run_inside(spec).out == "refused EACCES");
        if (family[1] == '\0' && family[0] < '3') CHECK(run_inside(payload({"socket", family, "2", "0"})).out == "got");
        spec.arguments = {"socketpair", family, "2"};
        CHECK(run_inside(spec).out == (std::string(family) == "1" ? "got" : "refused EAFNOSUPPORT"));
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
    CHECK(run_inside(shell(script)).out.empty());
    CHECK(run_inside(shell(script, false)).out.empty());
    // the payload can connect where nothing stands between: else the test would prove nothing
    CHECK(std::system(("bash -c 'exec 5<>/dev/tcp/127.0.0.1/" + port + "' 2>/dev/null").c_str()) == 0);
}
