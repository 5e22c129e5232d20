#include "agent/finished_names.h"

#include <algorithm>
#include <functional>

namespace mill::agent {
namespace {

constexpr std::size_t kRecent = 256;
constexpr std::int64_t kMinute = 60'000'000;

std::uint64_t hash_of(const protocol::AttemptId& id)
{
    std::uint64_t hash = std::hash<std::string>()(id.job);
    for (const std::uint64_t part : {id.epoch, std::uint64_t{id.attempt}}) hash = (hash ^ part) * 0x9E3779B97F4A7C15ULL, hash ^= hash >> 32;
    return hash;
}

}  // namespace

void FinishedNames::add(const protocol::AttemptId& id, WallTime time)
{
    recent_.push_back({hash_of(id), time.microseconds / kMinute});
    if (recent_.size() >= kRecent) merge();
}

bool FinishedNames::contains(const protocol::AttemptId& id) const
{
    const std::uint64_t hash = hash_of(id);
    const auto at = std::lower_bound(sorted_.begin(), sorted_.end(), hash, [](const Name& name, std::uint64_t value) { return name.hash < value; });
    if (at != sorted_.end() && at->hash == hash) return true;
    return std::any_of(recent_.begin(), recent_.end(), [&](const Name& name) { return name.hash == hash; });
}

void FinishedNames::forget_before(WallTime time)
{
    merge();
    std::erase_if(sorted_, [&](const Name& name) { return name.minute < time.microseconds / kMinute; });
}

void FinishedNames::merge()
{
    const auto by_hash = [](const Name& a, const Name& b) { return a.hash != b.hash ? a.hash < b.hash : a.minute > b.minute; };
    std::sort(recent_.begin(), recent_.end(), by_hash);
    const auto middle = static_cast<std::ptrdiff_t>(sorted_.size());
    // A little room ahead, not twice as much.
    if (sorted_.capacity() < sorted_.size() + recent_.size()) sorted_.reserve(sorted_.size() + recent_.size() + sorted_.size() / 16 + kRecent);
    sorted_.insert(sorted_.end(), recent_.begin(), recent_.end());
    recent_.clear();
    std::inplace_merge(sorted_.begin(), sorted_.begin() + middle, sorted_.end(), by_hash);
    sorted_.erase(std::unique(sorted_.begin(), sorted_.end(), [](const Name& a, const Name& b) { return a.hash == b.hash; }), sorted_.end());
    if (sorted_.size() <= kMost) return;
    // An eighth goes at once, so that this is done seldom.
    std::vector<std::int64_t> minutes;
    minutes.reserve(sorted_.size());
    for (const Name& name : sorted_) minutes.push_back(name.minute);
    const auto limit = minutes.begin() + static_cast<std::ptrdiff_t>(sorted_.size() - kMost / 8 * 7);
    std::nth_element(minutes.begin(), limit, minutes.end());
    const std::int64_t oldest = *limit;
    const std::size_t before = sorted_.size();
    std::erase_if(sorted_, [&](const Name& name) { return name.minute < oldest; });
    // All of one minute: any of them.
    if (sorted_.size() == before) sorted_.resize(kMost);
}

}  // namespace mill::agent
