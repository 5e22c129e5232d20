#include <catch2/catch.hpp>

#include <vector>

#include "agent/companion/page_sessions.h"

using namespace mill;
using namespace mill::companion;

TEST_CASE("a link opens the page once, within a minute", "[companion][page]")
{
    FakeClock clock;
    PageSessions sessions(clock);
    const std::string secret = sessions.new_link(), late = sessions.new_link();
    CHECK(secret.size() == 43);
    const auto session = sessions.exchange(secret, "");
    REQUIRE(session);
    CHECK(session->cookie != session->key);
    CHECK(sessions.admits(session->cookie, session->key));
    CHECK(sessions.exchange(secret, "").error().code == Errc::denied);
    CHECK(sessions.exchange(secret, session->cookie).error().code == Errc::denied);
    clock.advance(kLinkLife);
    CHECK(sessions.exchange(late, "").error().code == Errc::denied);
}

TEST_CASE("a session is two secrets, and neither is good for anything alone", "[companion][page]")
{
    FakeClock clock;
    PageSessions sessions(clock);
    const PageSession one = *sessions.exchange(sessions.new_link(), ""), two = *sessions.exchange(sessions.new_link(), "");
    CHECK_FALSE(sessions.admits(one.cookie, ""));
    CHECK_FALSE(sessions.admits("", one.key));
    CHECK_FALSE(sessions.admits("", ""));
    CHECK_FALSE(sessions.admits(one.cookie, one.cookie));
    CHECK_FALSE(sessions.admits(one.cookie, two.key));
    CHECK_FALSE(sessions.admits(two.cookie, one.key));
    CHECK(sessions.admits(two.cookie, two.key));
    // A second window of the same browser shares what the first has; its cookie stays good.
    const auto again = sessions.exchange(sessions.new_link(), one.cookie);
    CHECK(again->key == one.key);
    CHECK(again->cookie == one.cookie);
    CHECK(sessions.exchange(sessions.new_link(), "made up")->cookie != "made up");
}

TEST_CASE("a session ends half a day after it was last used", "[companion][page]")
{
    FakeClock clock;
    PageSessions sessions(clock);
    const PageSession session = *sessions.exchange(sessions.new_link(), "");
    for (int i = 0; i < 3; ++i) {
        clock.advance(kSessionLife - std::chrono::seconds(1));
        REQUIRE(sessions.admits(session.cookie, session.key));
    }
    clock.advance(kSessionLife);
    CHECK_FALSE(sessions.admits(session.cookie, session.key));
}

TEST_CASE("who guesses is stopped for a minute, and with him the right ones", "[companion][page]")
{
    FakeClock clock;
    PageSessions sessions(clock);
    const PageSession before = *sessions.exchange(sessions.new_link(), "");
    for (std::size_t i = 0; i < kMostGuesses; ++i) CHECK(sessions.exchange("guess", "").error().code == Errc::denied);
    CHECK(sessions.exchange("guess", "").error().code == Errc::unavailable);
    CHECK(sessions.exchange(sessions.new_link(), "").error().code == Errc::unavailable);
    CHECK(sessions.admits(before.cookie, before.key));   // who is in stays in
    clock.advance(std::chrono::minutes(1));
    CHECK(sessions.exchange(sessions.new_link(), ""));
}

TEST_CASE("links and sessions are not kept without end", "[companion][page]")
{
    FakeClock clock;
    PageSessions sessions(clock);
    const std::string first = sessions.new_link();
    for (std::size_t i = 0; i < kMostLinks; ++i) (void)sessions.new_link();
    CHECK_FALSE(sessions.exchange(first, ""));
    std::vector<PageSession> all;
    for (std::size_t i = 0; i <= kMostSessions; ++i) all.push_back(*sessions.exchange(sessions.new_link(), ""));
    CHECK_FALSE(sessions.admits(all.front().cookie, all.front().key));
    CHECK(sessions.admits(all.back().cookie, all.back().key));
}
