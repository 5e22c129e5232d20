// Reaching somebody over a socket.
#include "tests/escape/payload/payload.h"

#include <cerrno>
#include <cstddef>
#include <cstring>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace payload {
namespace {

struct Address {
    sockaddr_storage bytes{};
    socklen_t size = 0;
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
};

Address numeric(const Words& words)
{
    Address out;
    auto* six = reinterpret_cast<sockaddr_in6*>(&out.bytes);
    auto* four = reinterpret_cast<sockaddr_in*>(&out.bytes);
    const auto port = htons(static_cast<std::uint16_t>(words.number(1)));
    if (inet_pton(AF_INET, words.text(0), &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = port;
        out.size = sizeof *four;
    } else if (inet_pton(AF_INET6, words.text(0), &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = port;
        out.size = sizeof *six;
    }
    return out;
}

std::string tcp(const Words& words)
{
    const Address to = numeric(words);
    const int end = socket(to.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (end < 0) return refused();
    if (connect(end, to.get(), to.size) == 0) return got();
    if (errno != EINPROGRESS) return refused();
    pollfd wait{end, POLLOUT, 0};
    if (poll(&wait, 1, 2000) != 1) errno = ETIMEDOUT;
    else {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(end, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error == 0) return got();
        errno = error;
    }
    return refused();
}

/// Is there a way at all? Connecting a datagram socket looks one up and sends nothing.
std::string way(const Words& words)
{
    const Address to = numeric(words);
    const int end = socket(to.bytes.ss_family, SOCK_DGRAM, 0);
    return end < 0 ? refused() : outcome(connect(end, to.get(), to.size));
}

std::string send_datagram(const Words& words)
{
    const Address to = numeric(words);
    const int end = socket(to.bytes.ss_family, SOCK_DGRAM, 0);
    return end < 0 ? refused() : outcome(sendto(end, "?", 1, 0, to.get(), to.size));
}

/// A path, or with a leading @ an abstract name.
std::string local(const Words& words)
{
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, words.text(0), sizeof to.sun_path - 1);
    const socklen_t size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(to.sun_path));
    if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
    const int end = socket(AF_UNIX, SOCK_STREAM, 0);
    return end < 0 ? refused() : outcome(connect(end, reinterpret_cast<sockaddr*>(&to), size));
}

std::string resolve(const Words& words)
{
    addrinfo* found = nullptr;
    const int failed = getaddrinfo(words.text(0), "80", nullptr, &found);
    if (failed == 0) freeaddrinfo(found);
    return failed == 0 ? got() : std::string("refused ") + gai_strerror(failed);
}

std::string make_socket(const Words& words)
{
    return outcome(socket(static_cast<int>(words.number(0)), static_cast<int>(words.number(1)), static_cast<int>(words.number(2))));
}

std::string make_pair(const Words& words)
{
    int ends[2];
    return outcome(socketpair(static_cast<int>(words.number(0)), static_cast<int>(words.number(1)), 0, ends));
}

}  // namespace

std::vector<Verb> network_verbs()
{
    return {{"tcp", tcp}, {"way", way}, {"datagram", send_datagram}, {"local", local}, {"resolve", resolve}, {"socket", make_socket},
            {"socketpair", make_pair}};
}

}  // namespace payload
