// factory/agents/limiter.h -- how often each of many callers may call: a token bucket each, in memory that does not grow.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"

namespace mill::factory {

struct Rate {
    double per_second = 0;   ///< 0: no limit
    double burst = 0;        ///< calls at once, after a pause
};

/// What the factory allows; `limits:` of its configuration.
struct Rates {
    Rate token{1000, 4000}, address{500, 2000}, agents{20'000, 80'000}, failures{20.0 / 60, 20};
    double loopback = 100;   ///< so many times as much for calls from the machine itself
};

/// A bucket is one number: when it would be full again. They stand in a fixed table; where it is full, the bucket that is nearest to
/// full goes, which forgives least. Thread: any.
class Limiter {
public:
    /// `slots`: buckets at most, 16 bytes each.
    explicit Limiter(std::size_t slots = 16'384);

    /// Takes one. Nothing: it may; else how long until it may.
    std::optional<Milliseconds> take(std::string_view who, Rate rate, SteadyTime now);
    /// How long until `take` would do; takes nothing.
    std::optional<Milliseconds> look(std::string_view who, Rate rate, SteadyTime now);
    std::size_t bytes() const { return buckets_.capacity() * sizeof(Bucket); }

private:
    struct Bucket {
        std::uint64_t who = 0;
        std::int64_t full = 0;   ///< microseconds, when it is full again
    };
    Bucket& bucket_of(std::string_view who);
    std::mutex mutex_;
    std::vector<Bucket> buckets_;
    std::string seed_;
};

/// Whose bucket an address shares: an IPv6 caller has its whole /64.
std::string address_group(std::string_view address);

}  // namespace mill::factory
