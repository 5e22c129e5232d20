#include "factory/chat/signature.h"

#include <catch2/catch.hpp>

#include "platform/base/encode.h"
#include "platform/crypto.h"

using namespace mill;
using namespace mill::factory;
using Catch::Contains;

namespace {

// The example of Slack's documentation, "Verifying requests from Slack".
constexpr std::string_view kSecret = "8f742231b10e8888abcd99yyyzzz85a5";
constexpr std::string_view kTime = "1531420618";
constexpr std::string_view kBody = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
                                   "&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
                                   "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
constexpr std::string_view kSignature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
constexpr WallTime kNow{1'531'420'618'000'000};
constexpr Microseconds kMinute = std::chrono::minutes(1);

}  // namespace

TEST_CASE("Slack's own example of a signature is accepted", "[factory][chat][signature]")
{
    CHECK(check_slack_signature(kSecret, kSignature, kTime, kBody, kNow));
}

TEST_CASE("a Slack call is refused when anything of it was changed, is missing or old", "[factory][chat][signature]")
{
    const auto why = [](std::string_view secret, std::string_view signature, std::string_view time, std::string_view body, WallTime now) {
        const auto checked = check_slack_signature(secret, signature, time, body, now);
        REQUIRE_FALSE(checked);
        CHECK(checked.error().code == Errc::denied);
        CHECK(checked.error().what.find(kSecret) == std::string::npos);
        return checked.error().what;
    };
    CHECK_THAT(why("another", kSignature, kTime, kBody, kNow), Contains("signing secret"));
    CHECK_THAT(why(kSecret, kSignature, kTime, std::string(kBody) + "x", kNow), Contains("signing secret"));
    CHECK_THAT(why(kSecret, kSignature, "1531420619", kBody, kNow), Contains("signing secret"));
    CHECK_THAT(why(kSecret, kSignature.substr(0, 20), kTime, kBody, kNow), Contains("signing secret"));
    CHECK_THAT(why(kSecret, std::string("v1") + std::string(kSignature.substr(2)), kTime, kBody, kNow), Contains("signing secret"));
    CHECK_THAT(why(kSecret, "", kTime, kBody, kNow), Contains("missing"));
    CHECK_THAT(why(kSecret, kSignature, "", kBody, kNow), Contains("missing"));
    for (const char* wrong : {"soon", "1531420618 ", "15314206180000000", "-", "99999999999999999999"}) CHECK_THAT(why(kSecret, kSignature, wrong, kBody, kNow), Contains("no time"));
    CHECK_THAT(why(kSecret, kSignature, kTime, kBody, kNow + 6 * kMinute), Contains("5 minutes ago"));
    CHECK_THAT(why(kSecret, kSignature, kTime, kBody, kNow - 6 * kMinute), Contains("ahead"));
    CHECK(check_slack_signature(kSecret, kSignature, kTime, kBody, kNow + 4 * kMinute));
}

TEST_CASE("a Teams call is signed over its body with the key behind the base64", "[factory][chat][signature]")
{
    const std::string token = to_base64("a key of 32 bytes, as Teams makes"), body = R"({"type":"message"})";
    const std::string right = "HMAC " + to_base64(platform::hmac_sha256("a key of 32 bytes, as Teams makes", body));
    CHECK(check_teams_signature(token, right, body));
    CHECK_FALSE(check_teams_signature(token, right, body + " "));
    CHECK_FALSE(check_teams_signature(to_base64("another"), right, body));
    CHECK_FALSE(check_teams_signature(token, "Bearer " + right.substr(5), body));
    CHECK_FALSE(check_teams_signature(token, "", body));
    // Signed with the text and not with what it stands for.
    CHECK_FALSE(check_teams_signature(token, "HMAC " + to_base64(platform::hmac_sha256(token, body)), body));
    const auto unreadable = check_teams_signature("no base64 at all!", right, body);
    REQUIRE_FALSE(unreadable);
    CHECK(unreadable.error().code == Errc::invalid);
}

TEST_CASE("a time within a signed body counts five minutes", "[factory][chat][signature]")
{
    CHECK(check_chat_time("2018-07-12T18:36:58.000Z", kNow));
    CHECK_FALSE(check_chat_time("2018-07-12T18:30:58Z", kNow));
    CHECK_FALSE(check_chat_time("2018-07-12T18:43:58Z", kNow));
    CHECK_FALSE(check_chat_time("", kNow));
    CHECK_FALSE(check_chat_time("yesterday", kNow));
}

TEST_CASE("a Standard Webhooks signature covers id, time and body, under any of the keys that it was signed with", "[factory][chat][signature]")
{
    // The vector of the specification's reference libraries.
    constexpr std::string_view secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", id = "msg_p5jXN8AQM9LWM0D4loKWxJek", time = "1614265330", body = R"({"test": 2432232314})";
    constexpr std::string_view signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    constexpr WallTime now{1'614'265'330'000'000};
    CHECK(check_standard_signature(secret, id, time, signature, body, now));
    CHECK(check_standard_signature(secret, id, time, "v1,AAAA " + std::string(signature), body, now));
    const auto why = [&](std::string_view s, std::string_view i, std::string_view t, std::string_view g, std::string_view b, WallTime at) {
        const auto checked = check_standard_signature(s, i, t, g, b, at);
        REQUIRE_FALSE(checked);
        CHECK(checked.error().code == Errc::denied);
        CHECK(checked.error().what.find(secret.substr(6)) == std::string::npos);
        return checked.error().what;
    };
    CHECK_THAT(why("whsec_AAAA", id, time, signature, body, now), Contains("none of its signatures"));
    CHECK_THAT(why(secret, "msg_2", time, signature, body, now), Contains("none of its signatures"));
    CHECK_THAT(why(secret, id, "1614265331", signature, body, now), Contains("none of its signatures"));
    CHECK_THAT(why(secret, id, time, signature, "{}", now), Contains("none of its signatures"));
    CHECK_THAT(why(secret, id, time, signature.substr(3), body, now), Contains("none of its signatures"));
    CHECK_THAT(why(secret, id, time, "", body, now), Contains("missing"));
    CHECK_THAT(why(secret, "", time, signature, body, now), Contains("missing"));
    CHECK_THAT(why(secret, id, "soon", signature, body, now), Contains("no time"));
    CHECK_THAT(why(secret, id, time, signature, body, now + 6 * kMinute), Contains("5 minutes ago"));
    CHECK_THAT(why(secret, std::string(201, 'x'), time, signature, body, now), Contains("longer"));
}

TEST_CASE("a signature as GitHub makes it covers the body", "[factory][chat][signature]")
{
    // The example of GitHub's documentation, "Validating webhook deliveries".
    constexpr std::string_view secret = "It's a Secret to Everybody", body = "Hello, World!", signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    CHECK(check_hub_signature(secret, signature, body));
    CHECK_FALSE(check_hub_signature(secret, signature, "Hello, world!"));
    CHECK_FALSE(check_hub_signature("another", signature, body));
    CHECK_FALSE(check_hub_signature(secret, signature.substr(7), body));
    CHECK_FALSE(check_hub_signature(secret, "", body));
}
