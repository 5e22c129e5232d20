// factory/chat/signature.h -- whether a signed call is the platform's, or another program's, own and fresh. Before its body is read.
#pragma once

#include <string_view>

#include "platform/base/clock.h"
#include "platform/base/result.h"

namespace mill::factory {

/// How old, or how far ahead, a signed call may be.
inline constexpr Milliseconds kChatCallAge = std::chrono::minutes(5);

/// Slack: `X-Slack-Signature` "v0=HEX" of HMAC-SHA256 over "v0:TIMESTAMP:BODY", `X-Slack-Request-Timestamp` in seconds (docs.slack.dev, "Verifying requests
/// from Slack"). Errors: denied, a reason for the log: it repeats nothing of secret, signature or body.
Status check_slack_signature(std::string_view secret, std::string_view signature, std::string_view timestamp, std::string_view body, WallTime now);

/// Teams, an outgoing webhook: `Authorization: HMAC BASE64` of HMAC-SHA256 over the body, under the base64 key that Teams shows. The time is within
/// the body: check_chat_time. Errors: invalid (the stored secret is no base64), denied.
Status check_teams_signature(std::string_view secret, std::string_view authorization, std::string_view body);

/// Standard Webhooks: `webhook-signature`, "v1,BASE64" of HMAC-SHA256 over "ID.TIMESTAMP.BODY", perhaps several with spaces between them (keys that change). A secret
/// "whsec_BASE64" is the key behind the base64. Errors: denied.
Status check_standard_signature(std::string_view secret, std::string_view id, std::string_view timestamp, std::string_view signature, std::string_view body, WallTime now);

/// GitHub and many others: `X-Hub-Signature-256` "sha256=HEX" of HMAC-SHA256 over the body. No time is signed. Errors: denied.
Status check_hub_signature(std::string_view secret, std::string_view signature, std::string_view body);

/// `time` of a signed body, RFC 3339. Errors: denied.
Status check_chat_time(std::string_view time, WallTime now);

}  // namespace mill::factory
