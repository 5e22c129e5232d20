// agent/broker/message.h -- what a runner and the broker say to each other (protocol/README.md, effect channel).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace mill::broker {

/// An error as the workflow sees it: `type` is the last word of a standard error type.
struct EffectError {
    std::string type;
    int status = 500;
    std::string title, detail;
};
template <class T> using Outcome = tl::expected<T, EffectError>;

inline tl::unexpected<EffectError> refuse(std::string type, int status, std::string title, std::string detail)
{
    return tl::unexpected<EffectError>(EffectError{std::move(type), status, std::move(title), std::move(detail)});
}
/// An operation's own error (not a denial by the grants).
EffectError effect_error(const Error& error, std::string title);

inline constexpr Milliseconds kDefaultTimeout{30'000};
inline constexpr Milliseconds kMaxTimeout{3'600'000};

inline constexpr std::size_t kMaxCallBytes = 12 * 1024 * 1024;  ///< a file's 8 MiB as base64, and its envelope
inline constexpr std::size_t kMaxCallValues = 500'000;          ///< each costs far more memory than its text

struct EffectCall {
    std::uint64_t id = 0;
    std::string effect;
    Json with;
    Milliseconds timeout = kDefaultTimeout;
};

struct Incoming {
    std::optional<EffectCall> call;
    std::optional<std::uint64_t> cancel;
    bool listener = false;  ///< the handle that came along is where its commands ask for the network
};

/// Reads one message of a runner: hostile until proven. Exactly one member is set. Errors: invalid, too_large.
Result<Incoming> parse_incoming(std::string_view text);

/// `masked`: secrets that were taken out of it.
std::string result_text(std::uint64_t id, const Json& result, std::size_t masked = 0);
std::string error_text(std::uint64_t id, const EffectError& error, std::size_t masked = 0);
std::string reset_text();
/// For the job's log: what its commands were refused.
std::string note_text(std::string_view what);

}  // namespace mill::broker
