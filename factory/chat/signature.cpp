#include "factory/chat/signature.h"

#include <charconv>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/text.h"
#include "platform/crypto.h"

namespace mill::factory {
namespace {

Status fresh(std::int64_t seconds, WallTime now)
{
    const std::int64_t most = std::chrono::duration_cast<std::chrono::seconds>(kChatCallAge).count();
    const std::int64_t here = now.microseconds / 1'000'000;
    if (seconds < here - most) return fail(Errc::denied, fmt::format("it was signed more than {} minutes ago: sent again by somebody, or this machine's clock is ahead", most / 60));
    if (seconds > here + most) return fail(Errc::denied, fmt::format("its time is more than {} minutes ahead: this machine's clock is behind", most / 60));
    return {};
}

}  // namespace

Status check_slack_signature(std::string_view secret, std::string_view signature, std::string_view timestamp, std::string_view body, WallTime now)
{
    if (signature.empty() || timestamp.empty()) return fail(Errc::denied, "X-Slack-Signature or X-Slack-Request-Timestamp is missing");
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(timestamp.data(), timestamp.data() + timestamp.size(), seconds);
    // Twelve digits are enough for 30,000 years, and nothing can overflow.
    if (error != std::errc() || end != timestamp.data() + timestamp.size() || timestamp.size() > 12) return fail(Errc::denied, "X-Slack-Request-Timestamp is no time");
    const std::string expected = "v0=" + to_hex(platform::hmac_sha256(secret, fmt::format("v0:{}:{}", timestamp, body)));
    if (!platform::equal_constant_time(expected, signature)) return fail(Errc::denied, "its signature is not that of the signing secret");
    return fresh(seconds, now);
}

Status check_teams_signature(std::string_view secret, std::string_view authorization, std::string_view body)
{
    const auto key = from_base64(secret);
    if (!key || key->empty()) return fail(Errc::invalid, "the stored secret is not the base64 text that Teams shows as the security token");
    if (authorization.size() < 6 || lower_case(authorization.substr(0, 5)) != "hmac ") return fail(Errc::denied, "it has no 'Authorization: HMAC …'");
    if (!platform::equal_constant_time(to_base64(platform::hmac_sha256(*key, body)), authorization.substr(5)))
        return fail(Errc::denied, "its signature is not that of the security token");
    return {};
}

Status check_chat_time(std::string_view time, WallTime now)
{
    const auto read = parse_time(time);
    if (!read) return fail(Errc::denied, "its body has no 'timestamp': it may be one that was sent before");
    return fresh(read->microseconds / 1'000'000, now);
}

}  // namespace mill::factory
