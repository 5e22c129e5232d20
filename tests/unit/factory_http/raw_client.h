// tests/unit/factory_http/raw_client.h -- a socket that says exactly the bytes a test wants said.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace mill::test {

class RawClient {
public:
    explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) close();
    }
    RawClient(RawClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)), rest_(std::move(other.rest_)) {}
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;
    ~RawClient() { close(); }

    bool connected() const { return fd_ >= 0; }
    int native() const { return fd_; }
    void close()
    {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    void finish_sending() { ::shutdown(fd_, SHUT_WR); }
    bool send(std::string_view text)
    {
        while (!text.empty()) {
            const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    /// Bytes until the peer closes or `wait` is over.
    std::string read_all(std::chrono::milliseconds wait = std::chrono::seconds(5))
    {
        const auto end = std::chrono::steady_clock::now() + wait;
        while (fill(end)) {
        }
        return std::exchange(rest_, {});
    }
    /// One response with Content-Length (or none): head and body. Empty when there was none in time.
    std::string read_reply(std::chrono::milliseconds wait = std::chrono::seconds(5))
    {
        const auto end = std::chrono::steady_clock::now() + wait;
        std::size_t head;
        while ((head = rest_.find("\r\n\r\n")) == std::string::npos)
            if (!fill(end)) return {};
        std::size_t length = 0;
        if (const auto at = rest_.find("Content-Length: "); at < head) length = std::stoul(rest_.substr(at + 16));
        while (rest_.size() < head + 4 + length)
            if (!fill(end)) return {};
        std::string out = rest_.substr(0, head + 4 + length);
        rest_.erase(0, out.size());
        return out;
    }
    /// Waits for `text` in what was received; false when it did not come.
    bool wait_for(std::string_view text, std::chrono::milliseconds wait = std::chrono::seconds(5))
    {
        const auto end = std::chrono::steady_clock::now() + wait;
        while (rest_.find(text) == std::string::npos)
            if (!fill(end)) return false;
        return true;
    }
    /// True when the peer closed within `wait`.
    bool closed_within(std::chrono::milliseconds wait)
    {
        const auto end = std::chrono::steady_clock::now() + wait;
        while (fill(end)) {
        }
        return closed_;
    }

private:
    bool fill(std::chrono::steady_clock::time_point end)
    {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
        if (left <= 0 || fd_ < 0) return false;
        pollfd wanted{fd_, POLLIN, 0};
        if (::poll(&wanted, 1, static_cast<int>(left)) <= 0) return false;
        char piece[16384];
        const ssize_t got = ::recv(fd_, piece, sizeof piece, 0);
        if (got <= 0) {
            closed_ = true;
            return false;
        }
        rest_.append(piece, static_cast<std::size_t>(got));
        return true;
    }
    int fd_;
    bool closed_ = false;
    std::string rest_;
};

}  // namespace mill::test
