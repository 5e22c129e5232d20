// The HTTP client in plain text.
#include "tests/unit/platform/http_server.h"

// The library's pool threads live to the end of the process with what OpenSSL keeps for each thread; that is no leak of ours.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libcrypto.so\nleak:libcpprest.so\n"; }

using namespace mill;
using namespace mill::platform;
using namespace mill::platform::test;

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
