// The HTTP client against a small server that does just what each case says, in plain text and over TLS.
#include <catch2/catch.hpp>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/channel.h"
#include "platform/files.h"
#include "platform/http_client.h"
#include "platform/process.h"

// The library's pool threads live to the end of the process with what OpenSSL keeps for each thread; that is no leak of ours.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libcrypto.so\nleak:libcpprest.so\n"; }

using namespace mill;
using namespace mill::platform;
using namespace std::chrono_literals;

namespace {

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

std::string answer(std::string_view body, std::string_view more = "")
{
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string(more) + "\r\n" + std::string(body);
}

void echo(const Connection& connection, int number)
{
    for (std::string request; !(request = connection.request()).empty();) connection.write(answer(request, "X-Connection: " + std::to_string(number) + "\r\n"));
}

HttpRequest get(const std::string& uri)
{
    HttpRequest request;
    request.uri = uri;
    request.timeout = 5s;
    return request;
}

/// A private authority, a server's certificate for "localhost", and a client's.
struct Certificates {
    std::string folder;
    Certificates()
    {
        char name[] = "/tmp/mill-tls-XXXXXX";
        folder = mkdtemp(name);
        const std::string script =
            "set -e; cd " + folder + "; q='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2';"
            "openssl req -x509 $q -keyout ca.key -out ca.pem -subj /CN=authority;"
            "for n in server client; do openssl req $q -keyout $n.key -out $n.csr -subj /CN=$n;"
            "echo subjectAltName=DNS:localhost > ext; openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $n.pem; done";
        ProcessSpec spec;
        spec.program = "/bin/sh";
        spec.arguments = {"-c", script};
        spec.environment = {{"PATH", "/usr/bin:/bin"}};
        const auto done = run_process(spec, "", 100'000, 20s);
        REQUIRE(done);
        INFO(done->err);
        REQUIRE(done->ending.exit_code == 0);
    }
    ~Certificates() { (void)remove_tree(folder); }
    SSL_CTX* server(bool ask_client) const
    {
        SSL_CTX* context = SSL_CTX_new(TLS_server_method());
        REQUIRE(SSL_CTX_use_certificate_chain_file(context, (folder + "/server.pem").c_str()) == 1);
        REQUIRE(SSL_CTX_use_PrivateKey_file(context, (folder + "/server.key").c_str(), SSL_FILETYPE_PEM) == 1);
        if (ask_client) {
            SSL_CTX_load_verify_locations(context, (folder + "/ca.pem").c_str(), nullptr);
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        }
        return context;
    }
};

}  // namespace

TEST_CASE("a request goes out as written and its answer comes back", "[platform][http]")
{
    const Server server(echo);
    auto client = make_http_client();
    HttpRequest request = get(server.uri("/a/b%20c?x=1&y=%2F"));
    request.method = "POST";
    request.body = "{\"a\":1}";
    request.headers = {{"Content-Type", "application/json"}, {"X-Mine", "yes"}};
    const auto response = client->send(request);
    REQUIRE(response);
    CHECK(response->status == 200);
    CHECK(response->header("x-connection") == "1");
    CHECK_THAT(response->body, Catch::StartsWith("POST /a/b%20c?x=1&y=%2F HTTP/1.1\r\n") && Catch::Contains("X-Mine:yes") && Catch::Contains("Content-Type:application/json\r\n") &&
                                   Catch::Contains("Content-Length:7\r\n") && Catch::EndsWith("\r\n\r\n{\"a\":1}") && Catch::Contains("Host: 127.0.0.1:" + std::to_string(server.port)));
    request.body.clear();
    CHECK_THAT(client->send(request)->body, Catch::Contains("Content-Length:0"));
}

TEST_CASE("any status is a response, and a redirect is not followed", "[platform][http]")
{
    const Server server([](const Connection& connection, int) {
        const std::string request = connection.request();
        if (request.starts_with("GET /moved")) connection.write("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
        else connection.write("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy");
    });
    auto client = make_http_client();
    const auto moved = client->send(get(server.uri("/moved")));
    REQUIRE(moved);
    CHECK(moved->status == 302);
    CHECK(moved->header("location") == "/elsewhere");
    const auto busy = client->send(get(server.uri("/")));
    CHECK(busy->status == 503);
    CHECK(busy->header("retry-after") == "7");
    CHECK(busy->body == "busy");
}

TEST_CASE("repeatable requests share a connection, others have one each", "[platform][http]")
{
    Server server(echo);
    auto client = make_http_client();
    HttpRequest request = get(server.uri());
    request.repeatable = true;
    for (int i = 0; i < 5; ++i) CHECK(client->send(request)->status == 200);
    const int shared = server.count;
    CHECK(shared <= 2);  // the next may go out before the last has given its connection back
    request.repeatable = false;
    for (int i = 0; i < 3; ++i) CHECK(client->send(request)->status == 200);
    CHECK(server.count == shared + 3);
}

TEST_CASE("a request that is cut off after it was sent is not sent again", "[platform][http]")
{
    std::atomic<int> requests{0};
    const Server server([&](const Connection& connection, int) {
        if (!connection.request().empty()) ++requests;
    });
    auto client = make_http_client();
    HttpRequest request = get(server.uri());
    request.method = "POST";
    request.body = "once";
    const auto response = client->send(request);
    REQUIRE_FALSE(response);
    CHECK(response.error().code == Errc::unavailable);
    CHECK(requests == 1);
}

TEST_CASE("where nobody listens the error names host and port", "[platform][http]")
{
    int port = 0;
    { const Server server(echo); port = server.port; }
    const auto response = make_http_client()->send(get("http://127.0.0.1:" + std::to_string(port) + "/"));
    REQUIRE_FALSE(response);
    CHECK(response.error().code == Errc::unavailable);
    CHECK_THAT(response.error().what, Catch::Contains("127.0.0.1:" + std::to_string(port)));
    CHECK(make_http_client()->send(get("http://no-such-host.invalid/")).error().code == Errc::unavailable);
    CHECK(make_http_client()->send(get("nonsense")).error().code == Errc::invalid);
}

TEST_CASE("a server that is silent or dribbles is given up in time", "[platform][http]")
{
    const Server server([](const Connection& connection, int) {
        const std::string request = connection.request();
        if (request.starts_with("GET /silent")) {
            (void)connection.read_some();
            return;
        }
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        while (connection.write("x") && wait_handles({}, 20ms)) {}
    });
    auto client = make_http_client();
    for (const char* path : {"/silent", "/dribble"}) {
        HttpRequest request = get(server.uri(path));
        request.timeout = 300ms;
        const auto start = std::chrono::steady_clock::now();
        const auto response = client->send(request);
        INFO(path);
        REQUIRE_FALSE(response);
        CHECK(response.error().code == Errc::timeout);
        CHECK(std::chrono::steady_clock::now() - start < 2s);
    }
}

TEST_CASE("a stop request ends a parked poll at once", "[platform][http]")
{
    std::stop_source stop;
    const Server server([&](const Connection& connection, int) {
        (void)connection.request();
        stop.request_stop();
        (void)connection.read_some();
    });
    const auto start = std::chrono::steady_clock::now();
    HttpRequest request = get(server.uri());
    request.timeout = 30s;
    const auto response = make_http_client()->send(request, stop.get_token());
    REQUIRE_FALSE(response);
    CHECK(response.error().code == Errc::cancelled);
    CHECK(std::chrono::steady_clock::now() - start < 2s);
}

TEST_CASE("an answer over the limit is cut while it is read, whether it says its length or not", "[platform][http]")
{
    std::atomic<std::size_t> sent{0};
    const Server server([&](const Connection& connection, int) {
        const std::string request = connection.request();
        const std::string piece(10'000, 'x');
        if (request.starts_with("GET /length")) connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        else connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        const std::string chunk = request.starts_with("GET /length") ? piece : "2710\r\n" + piece + "\r\n";
        while (sent < 100'000'000 && connection.write(chunk)) sent += piece.size();
    });
    auto client = make_http_client();
    for (const char* path : {"/length", "/chunked"}) {
        sent = 0;
        HttpRequest request = get(server.uri(path));
        request.max_response = 50'000;
        const auto response = client->send(request);
        INFO(path);
        REQUIRE_FALSE(response);
        CHECK(response.error().code == Errc::too_large);
        CHECK(sent < 50'000'000);
    }
}

TEST_CASE("a pinned address is used whatever the name says, and the name is kept", "[platform][http]")
{
    const Server server(echo);
    HttpOptions options;
    options.pinned_address = "127.0.0.1";
    const auto response = make_http_client(options)->send(get(server.uri("/", "tickets.example.invalid")));
    REQUIRE(response);
    CHECK_THAT(response->body, Catch::Contains("Host:tickets.example.invalid:" + std::to_string(server.port)));
    options.pinned_address = "127.0.0.2,127.0.0.3,127.0.0.1";  // where nobody listens first
    CHECK(make_http_client(options)->send(get(server.uri("/", "tickets.example.invalid"))));
}

TEST_CASE("headers and methods cannot smuggle a second request", "[platform][http]")
{
    auto client = make_http_client();
    HttpRequest request = get("http://127.0.0.1:1/");
    request.headers = {{"X", "a\r\nInjected: b"}};
    CHECK(client->send(request).error().code == Errc::invalid);
    request.headers = {{"X: y", "a"}};
    CHECK(client->send(request).error().code == Errc::invalid);
    request.headers.clear();
    request.method = "GET / HTTP/1.1\r\nX:";
    CHECK(client->send(request).error().code == Errc::invalid);
}

TEST_CASE("only so many requests are under way at once", "[platform][http]")
{
    std::atomic<int> now{0}, most{0};
    const Server server([&](const Connection& connection, int) {
        while (!connection.request().empty()) {
            const int at_once = ++now;
            for (int seen = most; seen < at_once && !most.compare_exchange_weak(seen, at_once);) {}
            (void)wait_handles({}, 30ms);
            --now;
            connection.write(answer("ok"));
        }
    });
    HttpOptions options;
    options.connections = 2;
    auto client = make_http_client(options);
    std::vector<std::jthread> threads;
    std::atomic<int> good{0};
    for (int i = 0; i < 6; ++i)
        threads.emplace_back([&] {
            if (client->send(get(server.uri()))) ++good;
        });
    threads.clear();
    CHECK(good == 6);
    CHECK(most <= 2);
}

TEST_CASE("TLS: a private authority and the right name are needed, and a client's certificate where it is asked for", "[platform][http]")
{
    const Certificates made;
    SSL_CTX* open_context = made.server(false);
    SSL_CTX* strict_context = made.server(true);
    {
        const Server server(echo, open_context), strict(echo, strict_context);
        HttpOptions options;
        const auto untrusted = make_http_client(options)->send(get(server.uri("/", "localhost")));
        REQUIRE_FALSE(untrusted);
        CHECK(untrusted.error().code == Errc::denied);
        CHECK_THAT(untrusted.error().what, Catch::Contains("unable to get local issuer certificate"));
        options.ca_file = made.folder + "/ca.pem";
        const auto good = make_http_client(options)->send(get(server.uri("/", "localhost")));
        INFO((good ? std::string() : good.error().what));
        REQUIRE(good);
        CHECK(good->status == 200);
        const auto wrong_name = make_http_client(options)->send(get(server.uri("/", "127.0.0.1")));
        REQUIRE_FALSE(wrong_name);
        CHECK(wrong_name.error().code == Errc::denied);
        CHECK_THAT(wrong_name.error().what, Catch::Contains("mismatch"));
        const auto no_certificate = make_http_client(options)->send(get(strict.uri("/", "localhost")));
        REQUIRE_FALSE(no_certificate);
        INFO(no_certificate.error().what);
        CHECK((no_certificate.error().code == Errc::denied || no_certificate.error().code == Errc::unavailable));
        options.certificate_file = made.folder + "/client.pem";
        options.key_file = made.folder + "/client.key";
        CHECK(make_http_client(options)->send(get(strict.uri("/", "localhost"))));

        options = {};
        options.ca_file = made.folder + "/ca.pem";
        options.pinned_address = "127.0.0.1";
        const auto pinned = make_http_client(options)->send(get(server.uri("/", "localhost")));
        INFO((pinned ? std::string() : pinned.error().what));
        CHECK(pinned);
        CHECK(make_http_client(options)->send(get(server.uri("/", "other.invalid"))).error().code == Errc::denied);
    }
    SSL_CTX_free(open_context);
    SSL_CTX_free(strict_context);
}

TEST_CASE("a plain server where TLS is expected is an error, not a wait", "[platform][http]")
{
    const Server server([](const Connection& connection, int) {
        (void)connection.read_some();
        connection.write("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    const auto response = make_http_client()->send(get("https://127.0.0.1:" + std::to_string(server.port) + "/"));
    REQUIRE_FALSE(response);
    CHECK((response.error().code == Errc::denied || response.error().code == Errc::unavailable));
}

TEST_CASE("a proxy gets the request with its user and password", "[platform][http]")
{
    const Server proxy(echo);
    HttpOptions options;
    options.proxy = "http://user:p%40ss@127.0.0.1:" + std::to_string(proxy.port);
    const auto response = make_http_client(options)->send(get("http://somewhere.invalid/path"));
    REQUIRE(response);
    CHECK_THAT(response->body, Catch::StartsWith("GET http://somewhere.invalid:80/path HTTP/1.1") || Catch::StartsWith("GET http://somewhere.invalid/path HTTP/1.1"));
    CHECK_THAT(response->body, Catch::Contains("Proxy-Authorization: Basic dXNlcjpwQHNz"));
}
