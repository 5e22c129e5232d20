#include "factory/agents/limiter.h"

#include <algorithm>
#include <cstring>

#include "factory/http/address.h"
#include "platform/base/ids.h"
#include "platform/crypto.h"

namespace mill::factory {
namespace {

constexpr std::size_t kWays = 4;

std::int64_t cost_of(Rate rate) { return std::max<std::int64_t>(1, static_cast<std::int64_t>(1'000'000 / rate.per_second)); }

std::optional<Milliseconds> wait_of(std::int64_t full, Rate rate, std::int64_t now)
{
    const std::int64_t cost = cost_of(rate), room = static_cast<std::int64_t>(std::max(1.0, rate.burst)) * cost;
    const std::int64_t over = std::max(full, now) - now + cost - room;
    if (over <= 0) return std::nullopt;
    return Milliseconds((over + 999) / 1000);
}

}  // namespace

Limiter::Limiter(std::size_t slots) : buckets_(std::max<std::size_t>(kWays, slots / kWays * kWays)), seed_(random_bytes(16)) {}

/// The seed keeps callers from choosing names that share a bucket.
Limiter::Bucket& Limiter::bucket_of(std::string_view who)
{
    const std::string digest = platform::sha256(seed_ + std::string(who));
    std::uint64_t set = 0, key = 0;
    std::memcpy(&set, digest.data(), sizeof set);
    std::memcpy(&key, digest.data() + sizeof set, sizeof key);
    Bucket* const first = &buckets_[set % (buckets_.size() / kWays) * kWays];
    Bucket* fullest = first;
    for (Bucket* each = first; each != first + kWays; ++each) {
        if (each->who == key) return *each;
        if (each->full < fullest->full) fullest = each;
    }
    *fullest = {key, 0};
    return *fullest;
}

std::optional<Milliseconds> Limiter::take(std::string_view who, Rate rate, SteadyTime now)
{
    if (rate.per_second <= 0) return std::nullopt;
    const std::scoped_lock lock(mutex_);
    Bucket& bucket = bucket_of(who);
    if (auto wait = wait_of(bucket.full, rate, now.microseconds)) return wait;
    bucket.full = std::max(bucket.full, now.microseconds) + cost_of(rate);
    return std::nullopt;
}

std::optional<Milliseconds> Limiter::look(std::string_view who, Rate rate, SteadyTime now)
{
    if (rate.per_second <= 0) return std::nullopt;
    const std::scoped_lock lock(mutex_);
    return wait_of(bucket_of(who).full, rate, now.microseconds);
}

std::string address_group(std::string_view address)
{
    const auto bytes = parse_address(address);
    if (!bytes) return std::string(address);
    return bytes->size() == 16 ? bytes->substr(0, 8) : *bytes;
}

}  // namespace mill::factory
