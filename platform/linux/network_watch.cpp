// Changes of the network as rtnetlink(7) tells them to anybody.
#include "platform/network_watch.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mill::platform {
namespace {

constexpr int kSettleMs = 200;          // an address comes with its routes: one call for all of them
constexpr std::size_t kBuffer = 32 * 1024;

class Netlink : public NetworkWatch {
public:
    Netlink(int socket, int wake, std::function<void()> changed) : socket_(socket), wake_(wake), changed_(std::move(changed)), thread_([this] { run(); }) {}
    Netlink(const Netlink&) = delete;
    Netlink& operator=(const Netlink&) = delete;
    ~Netlink() override
    {
        const std::uint64_t one = 1;
        while (write(wake_, &one, sizeof one) < 0 && errno == EINTR) {}
        thread_.join();
        close(wake_);
        close(socket_);
    }

private:
    void run()
    {
        bool came = false;
        while (true) {
            pollfd waited[] = {{socket_, POLLIN, 0}, {wake_, POLLIN, 0}};
            const int ready = ::poll(waited, 2, came ? kSettleMs : -1);
            if (ready < 0 && errno == EINTR) continue;
            if (ready < 0 || (waited[1].revents & POLLIN) != 0) return;
            if (ready == 0) {
                came = false;
                changed_();
                continue;
            }
            came = read_some() || came;
        }
    }

    /// Takes what is there; true when something came (and when messages were lost: something may have).
    bool read_some()
    {
        alignas(nlmsghdr) char buffer[kBuffer];
        const ssize_t got = recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got < 0) return errno == ENOBUFS;
        bool came = false;
        auto left = static_cast<unsigned>(got);
        for (auto* message = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) came = came || is_coming(*message);
        return came;
    }

    static bool is_coming(nlmsghdr& message)
    {
        switch (message.nlmsg_type) {
        case RTM_NEWROUTE: return true;
        case RTM_NEWADDR: return true;
        case RTM_NEWLINK: {
            if (message.nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg))) return false;
            const auto* about = static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
            return (about->ifi_flags & IFF_RUNNING) != 0 && (about->ifi_flags & IFF_LOOPBACK) == 0;
        }
        default: return false;
        }
    }

    int socket_, wake_;
    std::function<void()> changed_;
    std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<NetworkWatch>> watch_network(std::function<void()> changed)
{
    const auto failed = [](std::string_view what) { return fail(errno == EACCES || errno == EPERM ? Errc::denied : Errc::unavailable, fmt::format("{}: {}", what, std::strerror(errno))); };
    const int listening = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (listening < 0) return failed("rtnetlink");
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    if (bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        auto error = failed("rtnetlink");
        close(listening);
        return error;
    }
    const int wake = eventfd(0, EFD_CLOEXEC);
    if (wake < 0) {
        auto error = failed("eventfd");
        close(listening);
        return error;
    }
    return std::make_unique<Netlink>(listening, wake, std::move(changed));
}

}  // namespace mill::platform
