#include <catch2/catch.hpp>

#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/channel.h"

using namespace mill;
using namespace mill::platform;
using namespace std::chrono_literals;

TEST_CASE("messages of all sizes arrive whole and in order", "[platform][channel]")
{
    auto ends = Channel::pair();
    REQUIRE(ends);
    const std::vector<std::size_t> sizes{0, 1, 60 * 1024 - 1, 60 * 1024, 60 * 1024 + 1, 3'000'000, 5};
    std::jthread sender([&] { for (const std::size_t size : sizes) (void)ends->first.send(std::string(size, static_cast<char>('a' + size % 26))); });
    for (const std::size_t size : sizes) {
        const auto message = ends->second.receive(5s);
        REQUIRE(message);
        REQUIRE(*message);
        CHECK(((*message)->text == std::string(size, static_cast<char>('a' + size % 26))));
    }
}

TEST_CASE("a message over the limit is refused by the sender", "[platform][channel]")
{
    auto ends = Channel::pair();
    const auto sent = ends->first.send(std::string(Channel::kMaxMessage + 1, 'x'));
    REQUIRE_FALSE(sent);
    CHECK(sent.error().code == Errc::too_large);
}

TEST_CASE("a descriptor rides on a message of several packets", "[platform][channel]")
{
    auto ends = Channel::pair();
    auto inner = Channel::pair();
    std::jthread sender([&] { (void)ends->first.send(std::string(200'000, 'x'), &inner->first.handle()); });
    auto message = ends->second.receive(5s);
    REQUIRE((message && *message && (*message)->handle.valid()));
    CHECK((fcntl((*message)->handle.native(), F_GETFD) & FD_CLOEXEC) != 0);
    Channel carried = Channel::from(std::move((*message)->handle));
    REQUIRE(carried.send("through"));
    CHECK((*inner->second.receive(1s))->text == "through");
}

TEST_CASE("nothing in time is nothing, not an error", "[platform][channel]")
{
    auto ends = Channel::pair();
    const auto message = ends->first.receive(5ms);
    REQUIRE(message);
    CHECK_FALSE(*message);
}

TEST_CASE("what was sent before the peer went is still received, then the end is said", "[platform][channel]")
{
    auto ends = Channel::pair();
    REQUIRE(ends->first.send("unread by the peer"));
    REQUIRE(ends->second.send("last words"));
    { const Channel gone = std::move(ends->second); }
    auto message = ends->first.receive(1s);
    REQUIRE((message && *message));
    CHECK((*message)->text == "last words");
    message = ends->first.receive(1s);
    REQUIRE_FALSE(message);
    CHECK(message.error().code == Errc::unavailable);
    CHECK(ends->first.send("x").error().code == Errc::unavailable);
}

TEST_CASE("a stop request ends a waiting receiver and a waiting sender", "[platform][channel]")
{
    auto ends = Channel::pair();
    std::stop_source stop;
    Errc received = Errc::internal, sent = Errc::internal;
    {
        std::jthread receiver([&] { received = ends->first.receive({}, stop.get_token()).error().code; });
        std::jthread sender([&] {
            while (true)
                if (const auto done = ends->first.send(std::string(50'000, 'x'), nullptr, stop.get_token()); !done) {
                    sent = done.error().code;
                    return;
                }
        });
        stop.request_stop();
    }
    CHECK(received == Errc::cancelled);
    CHECK(sent == Errc::cancelled);
}

TEST_CASE("a sender whose peer does not read gives up in time, and the next reader finds the next message", "[platform][channel]")
{
    auto ends = Channel::pair();
    const auto sent = ends->first.send(std::string(10'000'000, 'x'), nullptr, {}, 20ms);
    REQUIRE_FALSE(sent);
    CHECK(sent.error().code == Errc::timeout);
    std::jthread sender([&] { (void)ends->first.send("after"); });
    const auto message = ends->second.receive(2s);
    REQUIRE((message && *message));
    CHECK((*message)->text == "after");
}

TEST_CASE("a reader that begins inside a message finds the next one", "[platform][channel]")
{
    auto ends = Channel::pair();
    std::jthread sender([&] {
        (void)ends->first.send(std::string(150'000, 'x'));
        (void)ends->first.send("next");
    });
    char packet[70'000];
    REQUIRE(recv(ends->second.handle().native(), packet, sizeof packet, 0) > 0);  // as a reader that was killed now
    const auto message = ends->second.receive(2s);
    REQUIRE((message && *message));
    CHECK((*message)->text == "next");
}

TEST_CASE("packets that are none of ours are corrupt, never a crash", "[platform][channel]")
{
    for (const std::string& packet : {std::string("x"), std::string("MW\1\1\xff\xff\xff\x7f", 8), std::string("MW\1\1\2\0\0\0abc", 11), std::string("XX\1\1\0\0\0\0", 8), std::string("MW\1\1\5\0\0\0abc", 11)}) {
        auto ends = Channel::pair();
        REQUIRE(send(ends->first.handle().native(), packet.data(), packet.size(), 0) > 0);
        const auto message = ends->second.receive(1s);
        REQUIRE_FALSE(message);
        CHECK(message.error().code == Errc::corrupt);
    }
}

TEST_CASE("waiting on several channels names the one that has something", "[platform][channel]")
{
    auto a = Channel::pair(), b = Channel::pair();
    CHECK_FALSE(*wait_any({&a->first, nullptr, &b->first}, 1ms));
    REQUIRE(b->second.send("x"));
    CHECK(*wait_any({&a->first, nullptr, &b->first}, 1s) == 2);
    { const Channel gone = std::move(a->second); }
    CHECK(*wait_any({&a->first, nullptr, &b->first}, 1s) == 0);
}
