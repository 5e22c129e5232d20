#include "agent/demand.h"

#include <algorithm>

namespace mill::agent {
namespace {

constexpr std::chrono::minutes kIdle{5};    // after so long without a job none is held
constexpr std::chrono::seconds kRecent{10};
constexpr std::size_t kStartsForOneMore = 4;  // within kRecent
constexpr std::size_t kMostStarts = 64;       // remembered of one request
constexpr std::size_t kMostRequests = 32;

}  // namespace

void Demand::started(const std::string& request)
{
    if (most_ == 0) return;
    if (recent_.size() >= kMostRequests && !recent_.contains(request)) return;  // the idle ones make room
    std::deque<SteadyTime>& starts = recent_[request].starts;
    starts.push_back(clock_.steady());
    if (starts.size() > kMostStarts) starts.pop_front();
}

void Demand::forget()
{
    for (auto& [request, recent] : recent_) recent.starts.assign(1, clock_.steady() - kIdle);
}

std::size_t Demand::wanted(Recent& recent, SteadyTime now) const
{
    const SteadyTime last = recent.starts.back();
    if (now - last >= kIdle) return 0;
    while (now - recent.starts.front() >= kRecent && recent.starts.size() > 1) recent.starts.pop_front();
    return std::min(most_, 1 + recent.starts.size() / kStartsForOneMore);
}

std::vector<std::pair<std::string, std::size_t>> Demand::changes()
{
    std::vector<std::pair<std::string, std::size_t>> out;
    const SteadyTime now = clock_.steady();
    for (auto at = recent_.begin(); at != recent_.end();) {
        const std::size_t count = wanted(at->second, now);
        if (count != at->second.said) out.emplace_back(at->first, at->second.said = count);
        if (count == 0) at = recent_.erase(at);
        else ++at;
    }
    return out;
}

std::optional<SteadyTime> Demand::next() const
{
    std::optional<SteadyTime> first;
    for (const auto& [request, recent] : recent_) {
        const SteadyTime time = recent.starts.size() > 1 ? recent.starts.back() + kRecent : recent.starts.back() + kIdle;
        if (!first || time < *first) first = time;
    }
    return first;
}

}  // namespace mill::agent
