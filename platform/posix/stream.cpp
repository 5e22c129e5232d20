#include "platform/stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/posix/wait.h"

namespace mill::platform {
namespace {

constexpr std::size_t kPassedAtOnce = 64 * 1024;
constexpr rlim_t kMostOpen = 65'536;
constexpr std::chrono::milliseconds kNoneLeft{100};  // descriptors or memory: look again then
constexpr std::chrono::milliseconds kLook{5'000};    // for a stop that woke nobody: a wait has a descriptor of its own, and there may be none left
constexpr int kWaiting = 128;                        // connections that nobody has accepted yet

bool again(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

/// What each of ours is. A listener may have been prepared so that its connections inherit what holds up a close.
void prepare_connection(int native)
{
    const linger none{0, 0};
    const int on = 1;
    setsockopt(native, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    setsockopt(native, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(native, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

int option(int native, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(native, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

/// One direction: what was read of `from` and is not written to `to` yet.
struct Way {
    int from, to;
    std::atomic<std::uint64_t>& counted;
    std::optional<std::uint64_t> left = {};
    bool tell_end = true;  ///< the end of `from` is told to `to`
    std::vector<char> buffer = std::vector<char>(kPassedAtOnce);
    std::size_t begin = 0, end = 0;
    bool over = false;

    bool reads() const { return !over && begin == end; }
    bool writes() const { return begin != end; }

    /// False: broken.
    bool read()
    {
        const std::size_t room = left ? static_cast<std::size_t>(std::min<std::uint64_t>(*left, buffer.size())) : buffer.size();
        const ssize_t got = room == 0 ? 0 : recv(from, buffer.data(), room, MSG_DONTWAIT);
        if (got < 0) return again(errno);
        begin = 0;
        end = static_cast<std::size_t>(got);
        counted += end;
        if (left) *left -= end;
        over = got == 0 || (left && *left == 0);
        if (got == 0 && tell_end) shutdown(to, SHUT_WR);
        return true;
    }
    bool write()
    {
        const ssize_t sent = ::send(to, buffer.data() + begin, end - begin, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) return again(errno);
        begin += static_cast<std::size_t>(sent);
        return true;
    }
};

}  // namespace

Result<TcpStream> TcpStream::connect(const std::string& address, std::uint16_t port, std::chrono::milliseconds limit, std::stop_token stop)
{
    sockaddr_in four{};
    sockaddr_in6 six{};
    four.sin_family = AF_INET;
    six.sin6_family = AF_INET6;
    four.sin_port = six.sin6_port = htons(port);
    const bool is_four = inet_pton(AF_INET, address.c_str(), &four.sin_addr) == 1;
    if (!is_four && inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) != 1) return fail(Errc::invalid, fmt::format("'{}' is no address", address.substr(0, 100)));
    TcpStream out{Handle(socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))};
    const auto failed = [&](int error) { return fail(Errc::unavailable, fmt::format("{} port {}: {}", address, port, os_error(error))); };
    if (!out.handle_.valid()) return failed(errno);
    const int native = out.handle_.native();
    prepare_connection(native);
    const auto* where = is_four ? reinterpret_cast<const sockaddr*>(&four) : reinterpret_cast<const sockaddr*>(&six);
    if (::connect(native, where, is_four ? sizeof four : sizeof six) == 0) return out;
    if (errno != EINPROGRESS && errno != EINTR) return failed(errno);
    const auto ready = wait_ready(native, POLLOUT, deadline_of(limit), stop);
    if (!ready) return fail(ready.error());
    if (!*ready) return fail(Errc::timeout, fmt::format("{} port {}: no connection within {} ms", address, port, limit.count()));
    if (const int error = option(native, SO_ERROR); error != 0) return failed(error);
    return out;
}

Result<std::string> TcpStream::receive(std::size_t most, std::optional<std::chrono::milliseconds> wait, const std::stop_token& stop)
{
    const auto deadline = deadline_of(wait);
    std::string out(std::min(most, kPassedAtOnce), '\0');
    for (;;) {
        const auto ready = wait_ready(handle_.native(), POLLIN, deadline, stop);
        if (!ready) return fail(ready.error());
        if (!*ready) return fail(Errc::timeout, "the other end of the connection says nothing");
        const ssize_t got = recv(handle_.native(), out.data(), out.size(), MSG_DONTWAIT);
        if (got < 0 && again(errno)) continue;
        if (got < 0) return fail(Errc::unavailable, fmt::format("connection: {}", os_error(errno)));
        out.resize(static_cast<std::size_t>(got));
        return out;
    }
}

Status TcpStream::send(std::string_view bytes, std::optional<std::chrono::milliseconds> wait, const std::stop_token& stop)
{
    const auto deadline = deadline_of(wait);
    while (!bytes.empty()) {
        const ssize_t sent = ::send(handle_.native(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(sent));
            continue;
        }
        if (!again(errno)) return fail(Errc::unavailable, fmt::format("connection: {}", os_error(errno)));
        const auto ready = wait_ready(handle_.native(), POLLOUT, deadline, stop);
        if (!ready) return fail(ready.error());
        if (!*ready) return fail(Errc::timeout, "the other end of the connection does not read");
    }
    return {};
}

void TcpStream::end_sending() { shutdown(handle_.native(), SHUT_WR); }

void pass_between(TcpStream& here, TcpStream& there, std::optional<std::uint64_t> most, Passed& passed, const std::stop_token& stop)
{
    const int a = here.handle().native(), b = there.handle().native();
    Way out{.from = a, .to = b, .counted = passed.out, .left = most, .tell_end = !most, .over = most == std::uint64_t{0}};
    Way in{.from = b, .to = a, .counted = passed.in};
    while (out.reads() || out.writes() || in.reads() || in.writes()) {
        if (most && !in.reads() && !in.writes()) return;  // the answer is over, whatever was to be sent still
        const auto events = [](bool reads, bool writes) { return static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)); };
        std::vector<pollfd> set{{a, events(out.reads(), in.writes()), 0}, {b, events(in.reads(), out.writes()), 0}};
        // Whoever is gone, but has said what is not written yet, is not looked at until it is.
        if (set[0].events == 0 && out.writes()) set[0].fd = -1;
        if (set[1].events == 0 && in.writes()) set[1].fd = -1;
        const auto ready = wait_ready(set, deadline_of(kLook), stop);
        if (!ready) return;
        if (!*ready) continue;
        const auto broken = [](const pollfd& end) { return (end.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0 && (end.revents & POLLIN) == 0; };
        if (broken(set[0]) || broken(set[1])) return;
        const auto can = [](const pollfd& end, short what) { return (end.revents & what) != 0; };
        if (out.reads() && can(set[0], POLLIN) && !out.read()) return;
        if (in.reads() && can(set[1], POLLIN) && !in.read()) return;
        if (out.writes() && can(set[1], POLLOUT) && !out.write()) return;
        if (in.writes() && can(set[0], POLLOUT) && !in.write()) return;
    }
}

Result<Handle> TcpListener::open_on_loopback(std::uint16_t port)
{
    Handle out(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const int on = 1;  // connections that ended a moment ago do not keep the port
    if (!out.valid() || setsockopt(out.native(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 || bind(out.native(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(out.native(), kWaiting) != 0)
        return fail(Errc::unavailable, fmt::format("cannot listen on 127.0.0.1:{}: {}", port, os_error(errno)));
    return out;
}

Result<TcpListener> TcpListener::take_over(Handle handle, std::uint16_t port)
{
    const int native = handle.native();
    const auto refuse = [](std::string_view what) { return fail(Errc::denied, fmt::format("what was handed over {}", what)); };
    if (!handle.valid()) return refuse("is nothing");
    if (option(native, SO_DOMAIN) != AF_INET) return refuse("is no IPv4 socket");
    if (option(native, SO_TYPE) != SOCK_STREAM || option(native, SO_PROTOCOL) != IPPROTO_TCP) return refuse("is no TCP socket");
    if (option(native, SO_ACCEPTCONN) != 1) return refuse("does not listen");
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (getsockname(native, reinterpret_cast<sockaddr*>(&address), &size) != 0 || size != sizeof address || address.sin_family != AF_INET ||
        ntohl(address.sin_addr.s_addr) != INADDR_LOOPBACK || ntohs(address.sin_port) != port)
        return refuse(fmt::format("does not listen on 127.0.0.1:{}", port));
    return TcpListener(std::move(handle));
}

Result<TcpStream> TcpListener::accept(const std::stop_token& stop)
{
    for (;;) {
        const auto ready = wait_ready(handle_.native(), POLLIN, deadline_of(kLook), stop);
        if (!ready) return fail(ready.error());
        if (!*ready) continue;
        Handle made(accept4(handle_.native(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (made.valid()) {
            prepare_connection(made.native());
            return TcpStream(std::move(made));
        }
        if (again(errno) || errno == ECONNABORTED) continue;
        if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return fail(Errc::unavailable, fmt::format("listener: {}", os_error(errno)));
        if (const auto waited = wait_ready(-1, 0, deadline_of(kNoneLeft), stop); !waited) return fail(waited.error());
    }
}

void allow_many_streams()
{
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, kMostOpen);
    setrlimit(RLIMIT_NOFILE, &limit);
}

void TcpListener::end() { shutdown(handle_.native(), SHUT_RDWR); }

}  // namespace mill::platform
