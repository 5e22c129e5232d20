// How often callers may call, in memory that does not grow; networks.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "factory/agents/limiter.h"
#include "factory/http/address.h"

using namespace mill;
using namespace mill::factory;

namespace {

constexpr SteadyTime kNow{1'000'000'000'000};

SteadyTime after(std::int64_t milliseconds) { return kNow + Milliseconds(milliseconds); }

}  // namespace

TEST_CASE("a bucket lets its burst through, then its rate, and says how long to wait", "[factory][limits]")
{
    Limiter limiter;
    const Rate rate{10, 3};
    for (int i = 0; i < 3; ++i) CHECK_FALSE(limiter.take("a", rate, kNow));
    const auto wait = limiter.take("a", rate, kNow);
    REQUIRE(wait);
    CHECK(*wait == Milliseconds(100));
    CHECK(limiter.look("a", rate, kNow) == wait);   // looking takes nothing, and refusing neither
    CHECK_FALSE(limiter.take("b", rate, kNow));     // another's is its own
    CHECK_FALSE(limiter.take("a", rate, after(100)));
    CHECK(limiter.take("a", rate, after(100)));
    for (int i = 0; i < 3; ++i) CHECK_FALSE(limiter.take("a", rate, after(60'000)));   // no more than the burst after a pause
    CHECK(limiter.take("a", rate, after(60'000)));
    CHECK_FALSE(limiter.take("c", Rate{}, kNow));   // no limit
}

TEST_CASE("a million addresses take no more memory, and do not set an offender free", "[factory][limits]")
{
    Limiter limiter;
    const Rate failures{20.0 / 60, 20};
    const std::size_t bytes = limiter.bytes();
    CHECK(bytes <= 512 * 1024);
    for (int i = 0; i < 20; ++i) REQUIRE_FALSE(limiter.take("192.0.2.7", failures, kNow));
    REQUIRE(limiter.take("192.0.2.7", failures, kNow));
    for (int i = 0; i < 1'000'000; ++i) (void)limiter.take(fmt::format("10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255), failures, kNow);
    CHECK(limiter.bytes() == bytes);
    CHECK(limiter.take("192.0.2.7", failures, kNow));
    CHECK_FALSE(limiter.take("192.0.2.7", failures, after(3'100)));
}

TEST_CASE("addresses are grouped as one caller has them", "[factory][limits]")
{
    CHECK(address_group("192.0.2.7") != address_group("192.0.2.8"));
    CHECK(address_group("::ffff:192.0.2.7") == address_group("192.0.2.7"));
    CHECK(address_group("2001:db8:1:2::1") == address_group("2001:db8:1:2:ffff::9"));
    CHECK(address_group("2001:db8:1:2::1") != address_group("2001:db8:1:3::1"));
}

TEST_CASE("networks have the addresses that they say", "[factory][limits]")
{
    const auto has = [](std::string_view network, std::string_view address) {
        const auto parsed = parse_network(network);
        INFO(network);
        REQUIRE(parsed);
        return parsed->has(*parse_address(address));
    };
    CHECK(has("192.0.2.0/24", "192.0.2.255"));
    CHECK_FALSE(has("192.0.2.0/24", "192.0.3.0"));
    CHECK(has("192.0.2.128/25", "192.0.2.200"));
    CHECK_FALSE(has("192.0.2.128/25", "192.0.2.127"));
    CHECK(has("0.0.0.0/0", "8.8.8.8"));
    CHECK_FALSE(has("0.0.0.0/0", "2001:db8::1"));
    CHECK(has("192.0.2.7", "::ffff:192.0.2.7"));
    CHECK(has("2001:db8::/33", "2001:db8:7fff::1"));
    CHECK_FALSE(has("2001:db8::/33", "2001:db8:8000::1"));
    CHECK(has("::1", "::1"));
    for (const char* wrong : {"", "192.0.2.0/33", "192.0.2.1/24", "192.0.2.0/", "192.0.2.0/-1", "192.0.2/24", "2001:db8::1/64", "example.com", "192.0.2.0/24/1", "2001:db8::/129"}) {
        INFO(wrong);
        CHECK_FALSE(parse_network(wrong));
    }
}
