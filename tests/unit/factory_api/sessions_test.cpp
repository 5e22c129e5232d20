#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "factory/agents/identity.h"
#include "factory/agents/sessions.h"
#include "platform/crypto.h"
#include "protocol/token.h"

using namespace mill;
using namespace mill::factory;
using Catch::Contains;

namespace {

const std::string kUrl = "http://127.0.0.1:1/agent/v1/token";
const WallTime kNow{1'800'000'000'000'000};

std::string assertion(const platform::SigningKey& key, std::int64_t expires_in, std::string_view audience = kUrl, std::string_view subject = "a-1", int counter = 1)
{
    const auto jwt = platform::make_jwt(key.private_key, "a-1",
                                        fmt::format(R"({{"iss":"a-1","sub":"{}","aud":"{}","exp":{},"jti":"j-1","ctr":{}}})", subject, audience,
                                                    kNow.microseconds / 1'000'000 + expires_in, counter));
    REQUIRE(jwt);
    return *jwt;
}

}  // namespace

TEST_CASE("an assertion is taken from the right key, for this address, for at most a minute", "[factory][agents]")
{
    const auto key = platform::make_signing_key(), other = platform::make_signing_key();
    const auto good = verify_assertion(assertion(key, 60), key.public_key, {kUrl}, kNow);
    REQUIRE(good);
    CHECK(good->agent == "a-1");
    CHECK(good->jti == "j-1");
    CHECK(good->counter == 1);
    CHECK(issuer_of(assertion(key, 60)) == "a-1");

    CHECK_FALSE(verify_assertion(assertion(other, 60), key.public_key, {kUrl}, kNow));
    CHECK_THAT(verify_assertion(assertion(key, 60, "http://elsewhere/agent/v1/token"), key.public_key, {kUrl}, kNow).error().what, Contains("'aud'") && Contains("elsewhere"));
    CHECK_THAT(verify_assertion(assertion(key, 600), key.public_key, {kUrl}, kNow).error().what, Contains("ahead"));
    CHECK_THAT(verify_assertion(assertion(key, -100), key.public_key, {kUrl}, kNow).error().what, Contains("in the past"));
    CHECK_THAT(verify_assertion(assertion(key, 60, kUrl, "b-2"), key.public_key, {kUrl}, kNow).error().what, Contains("'sub'"));
    CHECK_THAT(verify_assertion(assertion(key, 60, kUrl, "a-1", 0), key.public_key, {kUrl}, kNow).error().what, Contains("'ctr'"));
    CHECK_FALSE(issuer_of("not.a.jwt"));
}

TEST_CASE("the same assertion gives the same token, which ends with its hour or its agent", "[factory][agents]")
{
    FakeClock clock(kNow);
    AgentSessions sessions("a key", clock);
    const auto grant = sessions.grant("a-1", "j-1", clock.now());
    CHECK(grant.expires_in == 3600);
    CHECK(protocol::parse_token(grant.token));
    CHECK(sessions.grant("a-1", "j-1", kNow).token == grant.token);
    CHECK(sessions.grant("a-1", "j-2", kNow).token != grant.token);
    CHECK(sessions.authenticate(grant.token) == "a-1");
    CHECK_FALSE(sessions.authenticate(grant.token.substr(0, grant.token.size() - 1) + (grant.token.back() == '0' ? '1' : '0')));

    SECTION("after an hour it is over")
    {
        clock.advance(std::chrono::seconds(3601));
        CHECK_THAT(sessions.authenticate(grant.token).error().what, Contains("over"));
    }
    SECTION("when the agent goes, so do its tokens")
    {
        sessions.end("a-1");
        CHECK_FALSE(sessions.authenticate(grant.token));
    }
    SECTION("another process does not know it")
    {
        AgentSessions restarted("a key", clock);
        CHECK_FALSE(restarted.authenticate(grant.token));
        CHECK(restarted.grant("a-1", "j-1", kNow).token == grant.token);
    }
}

TEST_CASE("a role includes those below it", "[factory][agents]")
{
    const Identity developer{.kind = "user", .id = "abc", .subject = "anna", .role = Role::developer, .environments = {}, .scopes = Scopes::everything()};
    CHECK(developer.has(Role::viewer, {}));
    CHECK(developer.has(Role::developer, {}));
    CHECK_FALSE(developer.has(Role::admin, {}));
}
