// tests/unit/broker/loopback_server.h -- a tiny HTTP server on 127.0.0.1: canned or computed answers, requests kept.
#pragma once

#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

class LoopbackServer {
public:
    /// Answers every request with `answer`; an empty one never answers.
    explicit LoopbackServer(std::string answer) : LoopbackServer([answer = std::move(answer)](const std::string&) { return answer; }) {}
    /// Called on the server's thread with the whole request; an empty answer leaves it open.
    explicit LoopbackServer(std::function<std::string(const std::string&)> answer) : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(listener_, 64) == 0 &&
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
            port_ = ntohs(address.sin_port);
        thread_ = std::jthread([this](std::stop_token stop) { serve(stop); });
    }
    ~LoopbackServer()
    {
        thread_.request_stop();
        thread_.join();
        ::close(listener_);
    }
    std::uint16_t port() const { return port_; }
    std::string url(const std::string& path = "/") const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
    std::vector<std::string> requests() const
    {
        const std::scoped_lock lock(mutex_);
        return requests_;
    }

    /// How many connections their clients have closed.
    int gone() const
    {
        const std::scoped_lock lock(mutex_);
        return gone_;
    }

private:
    struct Peer {
        int fd = -1;
        std::string text;
        bool answered = false;
    };

    static bool complete(const std::string& text)
    {
        const auto end = text.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        const auto at = text.find("Content-Length:");
        return at == std::string::npos || at > end || text.size() >= end + 4 + std::stoul(text.substr(at + 15));
    }

    void serve(const std::stop_token& stop)
    {
        std::vector<Peer> peers;
        while (!stop.stop_requested()) {
            std::vector<pollfd> waiting{{listener_, POLLIN, 0}};
            for (const Peer& peer : peers) waiting.push_back({peer.fd, POLLIN, 0});
            if (::poll(waiting.data(), waiting.size(), 20) <= 0) continue;
            for (std::size_t at = peers.size(); at-- > 0;) {
                if (waiting[at + 1].revents == 0) continue;
                char buffer[65536];
                const ssize_t count = ::recv(peers[at].fd, buffer, sizeof buffer, 0);
                if (count <= 0) {
                    {
                        const std::scoped_lock lock(mutex_);
                        ++gone_;
                    }
                    ::close(peers[at].fd);
                    peers.erase(peers.begin() + static_cast<std::ptrdiff_t>(at));
                    continue;
                }
                peers[at].text.append(buffer, static_cast<std::size_t>(count));
                if (!complete(peers[at].text)) continue;
                const std::string answer = answer_(peers[at].text);
                {
                    const std::scoped_lock lock(mutex_);
                    requests_.push_back(std::move(peers[at].text));
                }
                peers[at].text.clear();
                if (!answer.empty()) (void)!::send(peers[at].fd, answer.data(), answer.size(), MSG_NOSIGNAL);
            }
            if (waiting[0].revents != 0)
                if (const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); fd >= 0) peers.push_back({fd, "", false});
        }
        for (const Peer& peer : peers) ::close(peer.fd);
    }

    std::function<std::string(const std::string&)> answer_;
    int listener_;
    std::uint16_t port_ = 0;
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    int gone_ = 0;
    std::jthread thread_;
};

inline std::string http_answer(int status, const std::string& body, const std::string& headers = "Content-Type: application/json\r\n")
{
    return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}
