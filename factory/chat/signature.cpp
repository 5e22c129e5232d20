#include "factory/chat/signature.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/text.h"
#include "platform/crypto.h"

namespace mill::factory {
namespace {

constexpr std::size_t kLongestHookId = 200;

Status fresh(std::int64_t seconds, WallTime now)
{
    const std::int64_t most = std::chrono::duration_cast<std::chrono::seconds>(kChatCallAge).count();
    const std::int64_t here = now.microseconds / 1'000'000;
    if (seconds < here - most) return fail(Errc::denied, fmt::format("it was signed more than {} minutes ago: sent again by somebody, or this machine's clock is ahead", most / 60));
    if (seconds > here + most) return fail(Errc::denied, fmt::format("its time is more than {} minutes ahead: this machine's clock is behind", most / 60));
    return {};
}

}  // namespace

namespace {

/// Seconds since 1970. Twelve digits are enough for 30,000 years, and nothing can overflow.
std::optional<std::int64_t> signed_seconds(std::string_view text)
{
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size() || text.size() > 12) return std::nullopt;
    return seconds;
}

}  // namespace

Status check_slack_signature(std::string_view secret, std::string_view signature, std::string_view timestamp, std::string_view body, WallTime now)
{
    if (signature.empty() || timestamp.empty()) return fail(Errc::denied, "X-Slack-Signature or X-Slack-Request-Timestamp is missing");
    const auto seconds = signed_seconds(timestamp);
    if (!seconds) return fail(Errc::denied, "X-Slack-Request-Timestamp is no time");
    const std::string expected = "v0=" + to_hex(platform::hmac_sha256(secret, fmt::format("v0:{}:{}", timestamp, body)));
    if (!platform::equal_constant_time(expected, signature)) return fail(Errc::denied, "its signature is not that of the signing secret");
    return fresh(*seconds, now);
}

Status check_standard_signature(std::string_view secret, std::string_view id, std::string_view timestamp, std::string_view signature, std::string_view body, WallTime now)
{
    if (id.empty() || timestamp.empty() || signature.empty()) return fail(Errc::denied, "webhook-id, webhook-timestamp or webhook-signature is missing");
    if (id.size() > kLongestHookId) return fail(Errc::denied, fmt::format("its webhook-id is longer than {} bytes", kLongestHookId));
    const auto seconds = signed_seconds(timestamp);
    if (!seconds) return fail(Errc::denied, "webhook-timestamp is no time");
    std::string key(secret);
    if (secret.starts_with("whsec_")) {
        auto bytes = from_base64(secret.substr(6));
        if (!bytes || bytes->empty()) return fail(Errc::denied, "the stored secret is no whsec_BASE64");
        key = std::move(*bytes);
    }
    const std::string expected = "v1," + to_base64(platform::hmac_sha256(key, fmt::format("{}.{}.{}", id, timestamp, body)));
    bool known = false;
    for (std::string_view rest = signature; !rest.empty();) {
        const auto space = rest.find(' ');
        known = platform::equal_constant_time(expected, rest.substr(0, space)) || known;
        rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
    }
    if (!known) return fail(Errc::denied, "none of its signatures is that of the secret");
    return fresh(*seconds, now);
}

Status check_hub_signature(std::string_view secret, std::string_view signature, std::string_view body)
{
    if (signature.empty()) return fail(Errc::denied, "X-Hub-Signature-256 is missing");
    if (!platform::equal_constant_time("sha256=" + to_hex(platform::hmac_sha256(secret, body)), signature)) return fail(Errc::denied, "its signature is not that of the secret");
    return {};
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
