// Calls that are answered later, in pieces or never.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/unit/factory_http/serve.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::test;
using namespace std::chrono_literals;

namespace {

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
