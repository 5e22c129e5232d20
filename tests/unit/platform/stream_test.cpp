#include <catch2/catch.hpp>

#include <array>
#include <string>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/stream.h"

using namespace mill;
using namespace mill::platform;

namespace {

constexpr std::chrono::milliseconds kLong{20'000};

/// 0: the system chooses one.
std::uint16_t port_of(const Handle& listener)
{
    sockaddr_in address{};
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(listener.native(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    return ntohs(address.sin_port);
}

struct Two {
    TcpStream client, server;
    Two()
    {
        auto handle = TcpListener::open_on_loopback(0);
        REQUIRE(handle);
        const std::uint16_t port = port_of(*handle);
        auto listener = TcpListener::take_over(std::move(*handle), port);
        REQUIRE(listener);
        auto made = TcpStream::connect("127.0.0.1", port, kLong);
        REQUIRE(made);
        client = std::move(*made);
        auto taken = listener->accept({});
        REQUIRE(taken);
        server = std::move(*taken);
    }
};

Handle socket_of(int family, int type, bool listens, std::uint32_t address = INADDR_LOOPBACK)
{
    Handle out(::socket(family, type | SOCK_CLOEXEC, 0));
    if (family == AF_INET && listens) {
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_addr.s_addr = htonl(address);
        REQUIRE(::bind(out.native(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
    }
    if (listens) REQUIRE(::listen(out.native(), 1) == 0);
    return out;
}

}  // namespace

TEST_CASE("only a TCP listener on loopback, at the port that was agreed, is taken over", "[platform][stream]")
{
    const auto refused = [](Handle handle, std::uint16_t port = 3128) {
        const auto taken = TcpListener::take_over(std::move(handle), port);
        REQUIRE_FALSE(taken);
        CHECK(taken.error().code == Errc::denied);
        return taken.error().what;
    };
    CHECK_THAT(refused(Handle()), Catch::Contains("nothing"));
    CHECK_THAT(refused(Handle(::open("/dev/null", O_RDONLY | O_CLOEXEC))), Catch::Contains("no IPv4 socket"));
    CHECK_THAT(refused(socket_of(AF_UNIX, SOCK_STREAM, false)), Catch::Contains("no IPv4 socket"));
    CHECK_THAT(refused(socket_of(AF_INET6, SOCK_STREAM, false)), Catch::Contains("no IPv4 socket"));
    CHECK_THAT(refused(socket_of(AF_INET, SOCK_DGRAM, false)), Catch::Contains("no TCP socket"));
    CHECK_THAT(refused(socket_of(AF_INET, SOCK_STREAM, false)), Catch::Contains("does not listen"));
    Handle open = socket_of(AF_INET, SOCK_STREAM, true, INADDR_ANY);
    const std::uint16_t at = port_of(open);
    CHECK_THAT(refused(std::move(open), at), Catch::Contains("127.0.0.1"));
    auto good = TcpListener::open_on_loopback(0);
    REQUIRE(good);
    CHECK_THAT(refused(good->duplicate(), static_cast<std::uint16_t>(port_of(*good) + 1)), Catch::Contains("does not listen on"));
    CHECK(TcpListener::take_over(good->duplicate(), port_of(*good)));
    CHECK_FALSE(TcpListener::open_on_loopback(port_of(*good)));
}

TEST_CASE("a thread in accept comes back, also when somebody has made the listener one that blocks", "[platform][stream]")
{
    for (const bool blocks : {false, true}) {
        auto handle = TcpListener::open_on_loopback(0);
        REQUIRE(handle);
        auto listener = TcpListener::take_over(handle->duplicate(), port_of(*handle));
        REQUIRE(listener);
        if (blocks) REQUIRE(::fcntl(handle->native(), F_SETFL, 0) == 0);
        std::stop_source stop;
        std::jthread waits([&] { CHECK_FALSE(listener->accept(stop.get_token())); });
        stop.request_stop();
        listener->end();
        waits.join();
    }
}

TEST_CASE("what a listener was prepared with does not hold up the end of its connections", "[platform][stream]")
{
    auto handle = TcpListener::open_on_loopback(0);
    REQUIRE(handle);
    const linger long_wait{1, 3600};
    REQUIRE(::setsockopt(handle->native(), SOL_SOCKET, SO_LINGER, &long_wait, sizeof long_wait) == 0);
    auto listener = TcpListener::take_over(handle->duplicate(), port_of(*handle));
    auto client = TcpStream::connect("127.0.0.1", port_of(*handle), kLong);
    auto server = listener->accept({});
    REQUIRE(server);
    linger found{};
    socklen_t size = sizeof found;
    REQUIRE(::getsockopt(server->handle().native(), SOL_SOCKET, SO_LINGER, &found, &size) == 0);
    CHECK(found.l_onoff == 0);
}

TEST_CASE("nobody there, no address and no time are told apart", "[platform][stream]")
{
    auto handle = TcpListener::open_on_loopback(0);
    const std::uint16_t port = port_of(*handle);
    handle = Handle();
    CHECK(TcpStream::connect("127.0.0.1", port, kLong).error().code == Errc::unavailable);
    CHECK(TcpStream::connect("localhost", port, kLong).error().code == Errc::invalid);
    Two two;
    CHECK(two.client.receive(10, std::chrono::milliseconds(10), {}).error().code == Errc::timeout);
    std::stop_source stop;
    stop.request_stop();
    CHECK(two.client.receive(10, std::nullopt, stop.get_token()).error().code == Errc::cancelled);
    two.server = TcpStream();
    CHECK(two.client.receive(10, kLong, {})->empty());
}

TEST_CASE("what two say to each other passes, each end by itself, and is counted", "[platform][stream]")
{
    Two left, right;  // left.client <-> left.server == right.client <-> right.server
    Passed passed;
    std::jthread between([&] { pass_between(left.server, right.client, std::nullopt, passed, {}); });
    const std::string much(3'000'000, 'x');
    Status written;  // looked at behind the join: assertions are for one thread
    std::jthread writes([&] {
        written = left.client.send(much, kLong, {});
        left.client.end_sending();
    });
    std::string got;
    for (;;) {
        const auto piece = right.server.receive(65'536, kLong, {});
        REQUIRE(piece);
        if (piece->empty()) break;
        got += *piece;
    }
    writes.join();
    CHECK(written);
    CHECK(got == much);
    CHECK(right.server.send("and the answer", kLong, {}));  // after the other end has ended
    right.server.end_sending();
    CHECK(*left.client.receive(100, kLong, {}) == "and the answer");
    CHECK(left.client.receive(100, kLong, {})->empty());
    between.join();
    CHECK(passed.out == much.size());
    CHECK(passed.in == 14);
}

TEST_CASE("no more is passed on than was agreed", "[platform][stream]")
{
    Two left, right;
    Passed passed;
    std::jthread between([&] { pass_between(left.server, right.client, 4, passed, {}); });
    REQUIRE(left.client.send("bodyGET /second HTTP/1.1", kLong, {}));
    CHECK(*right.server.receive(100, kLong, {}) == "body");
    CHECK(right.server.send("ok", kLong, {}));
    CHECK(*left.client.receive(100, kLong, {}) == "ok");
    CHECK(right.server.receive(100, std::chrono::milliseconds(50), {}).error().code == Errc::timeout);
    right.server.end_sending();
    between.join();
    CHECK(passed.out == 4);
}

TEST_CASE("one that breaks, and a stop, end the passing on", "[platform][stream]")
{
    for (const bool stops : {false, true}) {
        Two left, right;
        Passed passed;
        std::stop_source stop;
        std::jthread between([&] { pass_between(left.server, right.client, std::nullopt, passed, stop.get_token()); });
        if (stops) {
            stop.request_stop();
        } else {
            const linger reset{1, 0};
            ::setsockopt(left.client.handle().native(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            left.client = TcpStream();
        }
        between.join();
    }
    SUCCEED("both came back");
}
