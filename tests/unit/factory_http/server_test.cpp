#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <catch2/catch.hpp>
#include <sys/resource.h>

#include "factory/http/server.h"
#include "tests/unit/factory_http/raw_client.h"

using namespace mill;
using namespace mill::factory;
using namespace std::chrono_literals;
using test::RawClient;

namespace {

std::unique_ptr<HttpServer> serve(HttpServerOptions options, HttpHandler handler)
{
    auto server = start_http_server(std::move(options), std::move(handler));
    if (!server) FAIL(server.error().what);
    return std::move(*server);
}

HttpHandler echo()
{
    return [](HttpCall call, Responder responder) {
        HttpReply reply;
        reply.content_type = "text/plain";
        reply.body = call.method + " " + call.path + " [" + call.body + "] " + std::string(call.header("x-test")) + std::string(call.query_value("q"));
        responder.reply(std::move(reply));
    };
}

std::string get(std::string_view path) { return "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n\r\n"; }

/// Calls that stay unanswered until the test says so.
class Parked {
public:
    HttpHandler handler()
    {
        return [this](HttpCall, Responder responder) {
            responder.on_gone([this] {
                const std::scoped_lock lock(mutex_);
                ++gone_;
                changed_.notify_all();
            });
            const std::scoped_lock lock(mutex_);
            waiting_.push_back(std::move(responder));
            changed_.notify_all();
        };
    }
    bool wait_parked(std::size_t count, std::chrono::milliseconds wait = 5s)
    {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, wait, [&] { return waiting_.size() >= count; });
    }
    bool wait_gone(std::size_t count, std::chrono::milliseconds wait = 5s)
    {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, wait, [&] { return gone_ >= count; });
    }
    std::vector<Responder> take()
    {
        const std::scoped_lock lock(mutex_);
        return std::exchange(waiting_, {});
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Responder> waiting_;
    std::size_t gone_ = 0;
};

}  // namespace

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

TEST_CASE("deadlines: each phase of a request has its own", "[http]")
{
    HttpServerOptions options;
    options.header_deadline = 300ms;
    options.body_deadline = 300ms;
    options.idle_deadline = 700ms;
    options.body_limit = [](std::string_view, std::string_view) -> std::size_t { return 1000; };
    auto server = serve(options, echo());
    SECTION("a header that dribbles in is cut off, however steadily it dribbles")
    {
        std::vector<RawClient> loris;
        for (int i = 0; i < 50; ++i) loris.emplace_back(server->port());
        const auto begin = std::chrono::steady_clock::now();
        for (RawClient& each : loris) each.send("GET / HTTP/1.1\r\nHost: x\r\n");
        std::jthread dribble([&](std::stop_token stop) {
            while (!stop.stop_requested()) {
                for (RawClient& each : loris) each.send("X: y\r\n");
                std::mutex mutex;
                std::unique_lock lock(mutex);
                std::condition_variable_any().wait_for(lock, stop, 50ms, [] { return false; });
            }
        });
        RawClient innocent(server->port());
        REQUIRE(innocent.send(get("/ok")));
        CHECK_THAT(innocent.read_reply(1s), Catch::Contains("200 OK"));
        for (RawClient& each : loris) CHECK(each.wait_for("408", 3s));
        dribble.request_stop();
        CHECK(std::chrono::steady_clock::now() - begin < 2500ms);
    }
    SECTION("a body that does not come")
    {
        RawClient client(server->port());
        REQUIRE(client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"));
        CHECK_THAT(client.read_all(3s), Catch::StartsWith("HTTP/1.1 408"));
    }
    SECTION("an idle connection is closed without a word, and not before its time")
    {
        RawClient client(server->port());
        REQUIRE(client.send(get("/")));
        REQUIRE_FALSE(client.read_reply().empty());
        CHECK_FALSE(client.closed_within(450ms));
        REQUIRE(client.send(get("/again")));
        CHECK_THAT(client.read_reply(), Catch::Contains("/again"));
        CHECK(client.closed_within(2s));
    }
    SECTION("a parked call has none")
    {
        Parked parked;
        auto other = serve(options, parked.handler());
        RawClient client(other->port());
        REQUIRE(client.send(get("/poll")));
        REQUIRE(parked.wait_parked(1));
        CHECK_FALSE(client.closed_within(1200ms));
        for (const Responder& each : parked.take()) each.reply({.status = 204});
        CHECK_THAT(client.read_reply(), Catch::StartsWith("HTTP/1.1 204"));
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

TEST_CASE("a thousand parked polls cost no thread and are woken at once", "[http]")
{
    Parked parked;
    auto server = serve({}, parked.handler());
    std::vector<RawClient> polls;
    for (int i = 0; i < 1000; ++i) {
        polls.emplace_back(server->port());
        REQUIRE(polls.back().send(get("/poll")));
    }
    REQUIRE(parked.wait_parked(1000, 10s));
    const auto begin = std::chrono::steady_clock::now();
    for (const Responder& each : parked.take()) each.reply({.status = 200, .body = "{\"woken\":true}"});
    for (RawClient& each : polls) CHECK_THAT(each.read_reply(), Catch::EndsWith("{\"woken\":true}"));
    CHECK(std::chrono::steady_clock::now() - begin < 5s);  // 10 to 50 ms; the bound only catches a stall
}

TEST_CASE("a peer that goes away while its call is parked is noticed at once", "[http]")
{
    Parked parked;
    auto server = serve({}, parked.handler());
    auto client = std::make_unique<RawClient>(server->port());
    REQUIRE(client->send(get("/poll")));
    REQUIRE(parked.wait_parked(1));
    CHECK_FALSE(parked.wait_gone(1, 100ms));
    SECTION("by a close") { client->close(); }
    SECTION("by a reset")
    {
        const linger hard{1, 0};
        setsockopt(client->native(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        client->close();
    }
    CHECK(parked.wait_gone(1, 2s));
    for (const Responder& each : parked.take()) each.reply({.status = 200});  // says nothing to nobody, and does no harm
    RawClient next(server->port());
    REQUIRE(next.send(get("/poll")));
    CHECK(parked.wait_parked(1));
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

TEST_CASE("a stream sends pieces as they come, and its peer's end is told", "[http]")
{
    std::optional<Responder> kept;
    std::mutex mutex;
    std::condition_variable changed;
    bool gone = false;
    auto server = serve({}, [&](HttpCall, Responder responder) {
        responder.on_gone([&] {
            const std::scoped_lock lock(mutex);
            gone = true;
            changed.notify_all();
        });
        responder.start_stream({.content_type = "text/event-stream"});
        const std::scoped_lock lock(mutex);
        kept = std::move(responder);
        changed.notify_all();
    });
    RawClient client(server->port());
    REQUIRE(client.send(get("/events")));
    {
        std::unique_lock lock(mutex);
        REQUIRE(changed.wait_for(lock, 5s, [&] { return kept.has_value(); }));
    }
    REQUIRE(client.wait_for("Transfer-Encoding: chunked"));
    CHECK(kept->send_piece("data: 1\n\n"));
    CHECK(client.wait_for("9\r\ndata: 1\n\n\r\n"));
    CHECK(kept->send_piece("data: 2\n\n"));
    CHECK(client.wait_for("data: 2\n\n"));
    SECTION("its end leaves the connection usable")
    {
        kept->end_stream();
        CHECK(client.wait_for("0\r\n\r\n"));
        CHECK_FALSE(kept->send_piece("late"));
        CHECK_FALSE(client.closed_within(100ms));
    }
    SECTION("a peer that leaves")
    {
        client.close();
        std::unique_lock lock(mutex);
        CHECK(changed.wait_for(lock, 2s, [&] { return gone; }));
        CHECK_FALSE(kept->send_piece("late"));
    }
}

TEST_CASE("stopping ends parked calls with 503 and takes no new ones", "[http]")
{
    Parked parked;
    auto server = serve({}, parked.handler());
    RawClient client(server->port()), idle(server->port());
    REQUIRE(client.send(get("/poll")));
    REQUIRE(parked.wait_parked(1));
    const auto begin = std::chrono::steady_clock::now();
    server->stop();
    CHECK(std::chrono::steady_clock::now() - begin < 2s);
    CHECK_THAT(client.read_all(1s), Catch::StartsWith("HTTP/1.1 503"));
    CHECK(idle.closed_within(1s));
    RawClient late(server->port());
    CHECK((!late.connected() || late.closed_within(1s)));
    for (const Responder& each : parked.take()) each.reply({.status = 200});  // a late answer does no harm
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
