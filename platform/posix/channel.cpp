#include "platform/channel.h"
#include "platform/channel_room.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/posix/wait.h"

namespace mill::platform {
namespace {

// A message goes out as one or more packets. Each starts with this header, so that a reader that begins in the middle of a
// message (the one before it was killed) finds the next beginning.
struct Header {
    std::array<char, 2> magic{'M', 'W'};
    std::uint8_t first = 0;
    std::uint8_t last = 0;
    std::uint32_t total = 0;  // bytes of the whole message
};
static_assert(sizeof(Header) == 8);

constexpr std::size_t kPiece = 60 * 1024;
constexpr std::size_t kMaxHandles = 8;  // more than one is against the contract; they are received to be closed

Status send_packet(int native, const Header& header, std::string_view piece, int along, std::optional<SteadyPoint> deadline,
                   const std::stop_token& stop)
{
    std::array<iovec, 2> parts{{{const_cast<Header*>(&header), sizeof header}, {const_cast<char*>(piece.data()), piece.size()}}};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    if (along >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* rider = CMSG_FIRSTHDR(&message);
        rider->cmsg_level = SOL_SOCKET;
        rider->cmsg_type = SCM_RIGHTS;
        rider->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(rider), &along, sizeof(int));
    }
    while (sendmsg(native, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno == EINTR) continue;
        if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return fail(Errc::unavailable, "channel closed by the other end");
        if (errno != EAGAIN && errno != ENOBUFS) return fail(Errc::unavailable, fmt::format("channel: {}", os_error(errno)));
        const auto ready = wait_ready(native, POLLOUT, deadline, stop);
        if (!ready) return fail(ready.error());
        if (!*ready) return fail(Errc::timeout, "the other end of the channel does not read");
    }
    return {};
}

struct Packet {
    std::size_t size = 0;
    Handle handle;
};

/// Nothing when there is no packet now.
Result<std::optional<Packet>> receive_packet(int native, std::vector<char>& buffer)
{
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxHandles)> control{};
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = 0;
    // ECONNRESET stands for the error once; what the peer had sent before it went is still there behind it.
    while ((got = recvmsg(native, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0 && (errno == EINTR || errno == ECONNRESET))
        message.msg_controllen = control.size();
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
    if (got < 0) return fail(Errc::unavailable, fmt::format("channel: {}", os_error(errno)));
    Packet packet;
    packet.size = static_cast<std::size_t>(got);
    for (cmsghdr* rider = CMSG_FIRSTHDR(&message); rider != nullptr; rider = CMSG_NXTHDR(&message, rider)) {
        if (rider->cmsg_level != SOL_SOCKET || rider->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (rider->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int received = -1;
            std::memcpy(&received, CMSG_DATA(rider) + i * sizeof(int), sizeof(int));
            Handle handle(received);
            if (!packet.handle.valid()) packet.handle = std::move(handle);
        }
    }
    if (got == 0) return fail(Errc::unavailable, "closed");
    if ((message.msg_flags & MSG_TRUNC) != 0) return fail(Errc::corrupt, "channel: a packet longer than any of ours");
    return packet;
}

}  // namespace

Handle& Handle::operator=(Handle&& other) noexcept
{
    if (this != &other) {
        if (native_ >= 0) close(native_);
        native_ = std::exchange(other.native_, -1);
    }
    return *this;
}

Handle::~Handle()
{
    if (native_ >= 0) close(native_);
}

Handle Handle::duplicate() const
{
    return Handle(native_ < 0 ? -1 : fcntl(native_, F_DUPFD_CLOEXEC, 3));
}

Result<std::pair<Channel, Channel>> Channel::pair()
{
    std::array<int, 2> ends{-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail(Errc::unavailable, fmt::format("no channel: {}", os_error(errno)));
    return std::pair(Channel(Handle(ends[0])), Channel(Handle(ends[1])));
}

Channel Channel::from(Handle handle)
{
    if (handle.valid()) fcntl(handle.native(), F_SETFD, FD_CLOEXEC);
    return Channel(std::move(handle));
}

Status Channel::send(std::string_view text, const Handle* along, std::stop_token stop, std::optional<std::chrono::milliseconds> wait)
{
    if (!valid()) return fail(Errc::unavailable, "no channel");
    if (text.size() > kMaxMessage) return fail(Errc::too_large, fmt::format("a message of {} bytes, more than {}", text.size(), kMaxMessage));
    const auto deadline = deadline_of(wait);
    Header header;
    header.first = 1;
    header.total = static_cast<std::uint32_t>(text.size());
    int rider = along != nullptr ? along->native() : -1;
    do {
        const std::string_view piece = text.substr(0, kPiece);
        text.remove_prefix(piece.size());
        header.last = text.empty() ? 1 : 0;
        if (auto sent = send_packet(handle_.native(), header, piece, rider, deadline, stop); !sent) return sent;
        header.first = 0;
        rider = -1;
    } while (header.last == 0);
    return {};
}

Result<std::optional<Message>> Channel::receive(std::optional<std::chrono::milliseconds> wait, std::stop_token stop)
{
    if (!valid()) return fail(Errc::unavailable, "no channel");
    if (stop.stop_requested()) return fail(Errc::cancelled, "stopped on request");
    const auto deadline = deadline_of(wait);
    thread_local std::vector<char> buffer(sizeof(Header) + kPiece);
    while (true) {
        auto packet = receive_packet(handle_.native(), buffer);
        if (!packet) return fail(packet.error());
        if (!*packet) {
            const auto ready = wait_ready(handle_.native(), POLLIN, deadline, stop);
            if (!ready) return fail(ready.error());
            if (!*ready) return std::nullopt;
            continue;
        }
        Header header;
        if ((*packet)->size >= sizeof header) std::memcpy(&header, buffer.data(), sizeof header);
        if ((*packet)->size < sizeof header || header.magic != Header{}.magic || header.total > kMaxMessage)
            return fail(Errc::corrupt, "channel: a packet that is none of ours");
        if (header.first != 0) {
            partial_.clear();  // a sender that was killed leaves half a message: it is dropped
            partial_handle_ = std::move((*packet)->handle);
            awaited_ = header.total;
            in_message_ = true;
        }
        if (!in_message_) continue;  // the rest of a message whose beginning an earlier reader took
        const std::size_t size = (*packet)->size - sizeof header;
        if (header.total != awaited_ || partial_.size() + size > awaited_) {
            in_message_ = false;
            return fail(Errc::corrupt, "channel: pieces that do not fit together");
        }
        partial_.append(buffer.data() + sizeof header, size);
        if (header.last == 0) continue;
        in_message_ = false;
        if (partial_.size() != awaited_) return fail(Errc::corrupt, "channel: a message shorter than it says");
        return Message{std::exchange(partial_, {}), std::move(partial_handle_)};
    }
}

Result<bool> send_some(const Channel& channel, std::string_view text, std::size_t& sent, bool& begun)
{
    if (!channel.valid()) return fail(Errc::unavailable, "no channel");
    if (text.size() > Channel::kMaxMessage) return fail(Errc::too_large, fmt::format("a message of {} bytes, more than {}", text.size(), Channel::kMaxMessage));
    Header header;
    header.total = static_cast<std::uint32_t>(text.size());
    do {
        const std::string_view piece = text.substr(sent, kPiece);
        header.first = begun ? 0 : 1;
        header.last = sent + piece.size() == text.size() ? 1 : 0;
        if (auto done = send_packet(channel.handle().native(), header, piece, -1, std::chrono::steady_clock::now(), {}); !done) {
            if (done.error().code == Errc::timeout) return false;
            return fail(std::move(done.error()));
        }
        sent += piece.size();
        begun = true;
    } while (header.last == 0);
    return true;
}

Result<std::optional<std::size_t>> wait_any(const std::vector<const Channel*>& channels, std::optional<std::chrono::milliseconds> wait,
                                            std::stop_token stop)
{
    return wait_any(channels, {}, wait, std::move(stop));
}

Result<std::optional<std::size_t>> wait_any(const std::vector<const Channel*>& channels, const std::vector<const Channel*>& room,
                                            std::optional<std::chrono::milliseconds> wait, std::stop_token stop)
{
    std::vector<pollfd> set;
    for (const auto& [each, events] : {std::pair(&channels, POLLIN), std::pair(&room, POLLOUT)})
        for (const Channel* channel : *each)
            set.push_back({channel != nullptr && channel->valid() ? channel->handle().native() : -1, static_cast<short>(events), 0});
    const auto ready = wait_ready(set, deadline_of(wait), stop);
    if (!ready) return fail(ready.error());
    for (std::size_t i = 0; i < set.size(); ++i)
        if (set[i].revents != 0) return i;
    return std::nullopt;
}

Result<std::vector<std::size_t>> wait_handles(const std::vector<const Handle*>& handles, std::optional<std::chrono::milliseconds> wait,
                                              std::stop_token stop)
{
    std::vector<pollfd> set;
    for (const Handle* handle : handles) set.push_back({handle != nullptr ? handle->native() : -1, POLLIN, 0});
    const auto ready = wait_ready(set, deadline_of(wait), stop);
    if (!ready) return fail(ready.error());
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < set.size(); ++i)
        if (set[i].revents != 0) out.push_back(i);
    return out;
}

}  // namespace mill::platform
