#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/unit/factory_http/serve.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::test;
using namespace std::chrono_literals;

TEST_CASE("a call arrives whole and its answer goes back on the same connection", "[http]")
{
    auto server = serve({}, echo());
    RawClient client(server->port());
    for (int i = 0; i < 3; ++i) {
        REQUIRE(client.send("POST /a%20b?q=1+2%2F HTTP/1.1\r\nHost: test\r\nX-Test: yes\r\nContent-Length: 5\r\n\r\nhello"));
        const std::string reply = client.read_reply();
        CHECK_THAT(reply, Catch::StartsWith("HTTP/1.1 200 OK\r\n"));
        CHECK_THAT(reply, Catch::EndsWith("POST /a%20b [hello] yes1 2/"));
        CHECK_THAT(reply, Catch::Contains("\r\nDate: "));
    }
    SECTION("a chunked body, too")
    {
        REQUIRE(client.send("POST /c HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
        CHECK_THAT(client.read_reply(), Catch::Contains("[abcde]"));
    }
    SECTION("two requests written at once are answered in order")
    {
        REQUIRE(client.send(get("/1") + get("/2")));
        CHECK_THAT(client.read_reply(), Catch::Contains("GET /1"));
        CHECK_THAT(client.read_reply(), Catch::Contains("GET /2"));
    }
    SECTION("HEAD gets the length and no body")
    {
        REQUIRE(client.send("HEAD /h HTTP/1.1\r\nHost: test\r\n\r\n" + get("/after")));
        CHECK(client.wait_for("GET /after"));
        const std::string all = client.read_all(50ms);
        CHECK(all.find("HEAD /h") == std::string::npos);
    }
    SECTION("a peer that says close, or speaks HTTP/1.0, is closed after the answer")
    {
        REQUIRE(client.send("GET /x HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
        CHECK(client.closed_within(2s));
        RawClient old(server->port());
        REQUIRE(old.send("GET /old HTTP/1.0\r\n\r\n"));
        CHECK_THAT(old.read_all(2s), Catch::Contains("GET /old"));
    }
    SECTION("a client that stops sending after its request still gets the answer")
    {
        RawClient half(server->port());
        REQUIRE(half.send(get("/half")));
        half.finish_sending();
        CHECK_THAT(half.read_all(2s), Catch::Contains("GET /half"));
    }
}

TEST_CASE("what is not a request is refused with a problem document and a closed connection", "[http]")
{
    auto server = serve({}, echo());
    struct Case { std::string text, status; };
    for (const Case& each : {Case{"NONSENSE\r\n\r\n", "400"}, Case{"GET relative HTTP/1.1\r\nHost: x\r\n\r\n", "400"}, Case{"GET / HTTP/1.1\r\n\r\n", "400"},
             Case{"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "400"}, Case{"GET / HTTP/3.7\r\nHost: x\r\n\r\n", "400"},
             Case{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"},
             Case{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", "400"},
             Case{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"}}) {
        RawClient client(server->port());
        REQUIRE(client.send(each.text));
        const std::string reply = client.read_all(3s);
        CAPTURE(each.text, reply);
        CHECK_THAT(reply, Catch::StartsWith("HTTP/1.1 " + each.status));
        CHECK_THAT(reply, Catch::Contains("application/problem+json"));
    }
    RawClient after(server->port());
    REQUIRE(after.send(get("/fine")));
    CHECK_THAT(after.read_reply(), Catch::Contains("200 OK"));
}

TEST_CASE("limits: a large header is 431, a large body 413 by its path, and the peer sees the answer", "[http]")
{
    HttpServerOptions options;
    options.header_limit = 4096;
    options.body_limit = [](std::string_view, std::string_view path) -> std::size_t { return path == "/large" ? 3'000'000 : 1000; };
    auto server = serve(options, [](HttpCall call, Responder responder) { responder.reply({.status = 200, .body = std::to_string(call.body.size())}); });
    RawClient client(server->port());
    SECTION("header")
    {
        REQUIRE(client.send("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(6000, 'a') + "\r\n\r\n"));
        CHECK_THAT(client.read_all(3s), Catch::StartsWith("HTTP/1.1 431"));
    }
    SECTION("a stated length is refused before the body is sent")
    {
        REQUIRE(client.send("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"));
        CHECK_THAT(client.read_reply(), Catch::StartsWith("HTTP/1.1 413") && Catch::Contains("1000 bytes"));
    }
    SECTION("a peer that sends all of it before it reads sees the answer")
    {
        client.send("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n" + std::string(8'000'000, 'x'));
        CHECK_THAT(client.read_all(3s), Catch::StartsWith("HTTP/1.1 413"));
    }
    SECTION("chunks are counted")
    {
        client.send("POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 3; ++i) client.send("1f4\r\n" + std::string(500, 'c') + "\r\n");
        CHECK_THAT(client.read_all(3s), Catch::StartsWith("HTTP/1.1 413"));
    }
    SECTION("another path takes more, exactly up to its limit")
    {
        REQUIRE(client.send("POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + std::string(3'000'000, 'x')));
        CHECK_THAT(client.read_reply(), Catch::EndsWith("3000000"));
    }
    SECTION("Expect: 100-continue is answered when the body may come, refused when not")
    {
        REQUIRE(client.send("POST /large HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
        REQUIRE(client.wait_for("100 Continue\r\n\r\n"));
        REQUIRE(client.send("hello"));
        CHECK(client.wait_for("200 OK"));
    }
}

TEST_CASE("a peer that does not read its answer is cut off at the write deadline", "[http]")
{
    HttpServerOptions options;
    options.write_deadline = 300ms;
    std::mutex mutex;
    std::condition_variable changed;
    int gone = 0, sent = 0;
    std::optional<Responder> kept;
    auto server = serve(options, [&](HttpCall, Responder responder) {
        responder.on_gone([&] {
            const std::scoped_lock lock(mutex);
            ++gone;
            changed.notify_all();
        });
        responder.start_stream({.content_type = "text/plain"});
        while (sent < 100 && responder.send_piece(std::string(500'000, 'x'))) ++sent;
        const std::scoped_lock lock(mutex);
        kept = std::move(responder);
        changed.notify_all();
    });
    RawClient client(server->port());
    REQUIRE(client.send(get("/")));
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, 5s, [&] { return kept.has_value(); }));
    CHECK(sent < 100);  // the queue has a bound
    lock.unlock();
    for (int i = 0; i < 60; ++i) {  // more than the kernel's buffers hold
        kept->send_piece(std::string(500'000, 'x'));
        std::this_thread::yield();
    }
    std::unique_lock again(mutex);
    for (int i = 0; i < 40 && gone == 0; ++i) {
        again.unlock();
        kept->send_piece(std::string(500'000, 'x'));
        again.lock();
        changed.wait_for(again, 100ms, [&] { return gone > 0; });
    }
    CHECK(gone == 1);
}

TEST_CASE("one address may hold only so many connections", "[http]")
{
    HttpServerOptions options;
    options.connections_per_address = 3;
    auto server = serve(options, echo());
    std::vector<RawClient> held;
    for (int i = 0; i < 3; ++i) {
        held.emplace_back(server->port());
        REQUIRE(held.back().send(get("/")));
        REQUIRE_FALSE(held.back().read_reply().empty());
    }
    RawClient extra(server->port());
    extra.send(get("/"));
    CHECK(extra.read_reply(1s).empty());
    held.clear();
    bool again = false;
    for (int i = 0; i < 50 && !again; ++i) {
        RawClient next(server->port());
        next.send(get("/"));
        again = !next.read_reply(100ms).empty();
    }
    CHECK(again);
}

TEST_CASE("a call that nobody answers gets 500, a handler that throws does not end the server", "[http]")
{
    auto server = serve({}, [](HttpCall call, Responder responder) {
        if (call.path == "/throw") throw std::runtime_error("a bug");
        if (call.path == "/ok") responder.reply({.body = "fine"});
    });
    RawClient client(server->port());
    REQUIRE(client.send(get("/forget")));
    CHECK_THAT(client.read_reply(), Catch::StartsWith("HTTP/1.1 500"));
    REQUIRE(client.send(get("/throw")));
    CHECK_THAT(client.read_reply(), Catch::StartsWith("HTTP/1.1 500"));
    RawClient next(server->port());
    REQUIRE(next.send(get("/ok")));
    CHECK_THAT(next.read_reply(), Catch::EndsWith("fine"));
}

TEST_CASE("an address in use and a wrong address are clear errors", "[http]")
{
    auto server = serve({}, echo());
    HttpServerOptions same;
    same.port = server->port();
    const auto second = start_http_server(same, echo());
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::unavailable);
    CHECK_THAT(second.error().what, Catch::Contains(std::to_string(server->port())));
    HttpServerOptions wrong;
    wrong.address = "nowhere.example";
    CHECK(start_http_server(wrong, echo()).error().code == Errc::invalid);
}

TEST_CASE("a header value cannot forge another header", "[http]")
{
    auto server = serve({}, [](HttpCall call, Responder responder) {
        responder.reply({.headers = {{"X-Echo", std::string(call.query_value("q"))}}, .body = "x"});
    });
    RawClient client(server->port());
    REQUIRE(client.send(get("/?q=a%0d%0aSet-Cookie:%20evil")));
    CHECK(client.read_reply().find("\r\nSet-Cookie") == std::string::npos);
}
