// tests/unit/platform/http_server.h -- a small server that does just what each case says, in plain text and over TLS.
#pragma once

#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "platform/channel.h"
#include "platform/http_client.h"

namespace mill::platform::test {

using namespace std::chrono_literals;

struct Connection {
    int socket;
    SSL* tls = nullptr;

    std::string read_some() const
    {
        char block[65536];
        const auto got = tls != nullptr ? SSL_read(tls, block, sizeof block) : static_cast<int>(::recv(socket, block, sizeof block, 0));
        return got > 0 ? std::string(block, static_cast<std::size_t>(got)) : std::string();
    }
    bool write(std::string_view text) const
    {
        if (tls != nullptr) return SSL_write(tls, text.data(), static_cast<int>(text.size())) > 0;
        return ::send(socket, text.data(), text.size(), MSG_NOSIGNAL) > 0;
    }
    /// Head and body of one request; empty when the connection ended.
    std::string request() const
    {
        std::string text;
        while (text.find("\r\n\r\n") == std::string::npos) {
            const std::string more = read_some();
            if (more.empty()) return {};
            text += more;
        }
        const auto at = text.find("Content-Length:");
        const std::size_t length = at == std::string::npos ? 0 : std::strtoul(text.c_str() + at + 15, nullptr, 10);
        while (text.size() < text.find("\r\n\r\n") + 4 + length) {
            const std::string more = read_some();
            if (more.empty()) return {};
            text += more;
        }
        return text;
    }
};

/// Each connection is given to `serve` in a thread of its own.
class Server {
public:
    explicit Server(std::function<void(const Connection&, int number)> serve, SSL_CTX* tls = nullptr) : serve_(std::move(serve)), tls_(tls)
    {
        listener_ = Handle(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(bind(listener_.native(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(listen(listener_.native(), 64) == 0);
        socklen_t length = sizeof address;
        getsockname(listener_.native(), reinterpret_cast<sockaddr*>(&address), &length);
        port = ntohs(address.sin_port);
        acceptor_ = std::jthread([this] {
            while (true) {
                const int socket = accept(listener_.native(), nullptr, nullptr);
                if (socket < 0) return;
                const std::scoped_lock lock(mutex_);
                sockets_.push_back(socket);
                threads_.emplace_back([this, socket, number = ++count] { handle(socket, number); });
            }
        });
    }
    ~Server()
    {
        ::shutdown(listener_.native(), SHUT_RDWR);
        acceptor_.join();
        for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
        threads_.clear();
        for (const int socket : sockets_) ::close(socket);
    }
    std::string uri(const std::string& path = "/", const std::string& host = "127.0.0.1") const
    {
        return (tls_ != nullptr ? "https://" : "http://") + host + ":" + std::to_string(port) + path;
    }

    int port = 0;
    std::atomic<int> count{0};

private:
    void handle(int socket, int number)
    {
        Connection connection{socket};
        if (tls_ != nullptr) {
            connection.tls = SSL_new(tls_);
            SSL_set_fd(connection.tls, socket);
            if (SSL_accept(connection.tls) != 1) {
                SSL_free(connection.tls);
                ::shutdown(socket, SHUT_RDWR);
                return;
            }
        }
        serve_(connection, number);
        if (connection.tls != nullptr) {
            SSL_shutdown(connection.tls);
            SSL_free(connection.tls);
        }
        ::shutdown(socket, SHUT_RDWR);
    }

    std::function<void(const Connection&, int)> serve_;
    SSL_CTX* tls_;
    Handle listener_;
    std::mutex mutex_;
    std::vector<int> sockets_;
    std::jthread acceptor_;
    std::vector<std::jthread> threads_;
};

inline std::string answer(std::string_view body, std::string_view more = "")
{
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string(more) + "\r\n" + std::string(body);
}

inline void echo(const Connection& connection, int number)
{
    for (std::string request; !(request = connection.request()).empty();) connection.write(answer(request, "X-Connection: " + std::to_string(number) + "\r\n"));
}

inline HttpRequest get(const std::string& uri)
{
    HttpRequest request;
    request.uri = uri;
    request.timeout = 5s;
    return request;
}

}  // namespace mill::platform::test
