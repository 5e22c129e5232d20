#include "agent/keeper/pool.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::keeper {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostRequests = 64;
constexpr std::size_t kMostWarm = 32;    // in all: some 3 MiB each
constexpr auto kOldest = 10min;          // then another takes its place: its memory layout and seeds stay unknown
constexpr auto kAfterTake = 3ms;         // the job that took one goes first
constexpr auto kBetween = 1ms;           // the keeper's other work goes between two starts
constexpr auto kAfterFailure = 30s;

/// Which files the names lead to.
std::string what_is_there(const SandboxRequest& request)
{
    std::string out = platform::identity_of(request.package_path);
    for (const auto* paths : {&request.read, &request.write})
        for (const std::string& path : *paths) out += " " + platform::identity_of(path);
    return out;
}

}  // namespace

/// Waits until it is gone, so that its group is, too.
void Pool::end(Warm& warm)
{
    if (!warm.runner.sandbox) return;
    warm.runner.sandbox->kill();
    if (!warm.runner.sandbox->wait(1s)) log::warning("keeper", "a runner that waited for a job does not end");
}

void Pool::drop(std::deque<Warm>& warm, std::size_t keep)
{
    for (; warm.size() > keep; warm.pop_front()) end(warm.front());
}

void Pool::drop_all()
{
    for (auto& [key, entry] : entries_) drop(entry.warm, 0);
    entries_.clear();
}

Status Pool::want(const std::string& request, std::size_t count)
{
    auto found = entries_.find(request);
    if (found == entries_.end()) {
        if (count == 0) return {};
        if (entries_.size() >= kMostRequests) return fail(Errc::unavailable, fmt::format("runners are held for {} requests already", kMostRequests));
        auto read = decode_request(request);
        if (!read) return fail(read.error());
        found = entries_.try_emplace(request).first;
        found->second.request = std::move(*read);
        found->second.start_at = Clock::now() + kAfterTake;
    }
    found->second.wanted = std::min(count, kMostWarm);
    drop(found->second.warm, found->second.wanted);
    if (count == 0) entries_.erase(found);
    return {};
}

bool Pool::is_fit(Entry& entry, Warm& warm)
{
    if (warm.runner.sandbox->wait(0ms)) {
        log::warning("keeper", "a runner that waited for a job ended: {}", warm.runner.sandbox->said());
        entry.start_at = Clock::now() + kAfterFailure;
        return false;
    }
    return Clock::now() - warm.started < kOldest;
}

std::optional<Runner> Pool::take(const std::string& request)
{
    const auto found = entries_.find(request);
    if (found == entries_.end()) return std::nullopt;
    Entry& entry = found->second;
    const std::string now = what_is_there(entry.request);
    while (!entry.warm.empty()) {
        Warm warm = std::move(entry.warm.front());
        entry.warm.pop_front();
        entry.start_at = std::max(entry.start_at, Clock::now() + kAfterTake);
        if (is_fit(entry, warm) && warm.paths == now) return std::move(warm.runner);
        end(warm);
    }
    return std::nullopt;
}

void Pool::refill()
{
    const auto now = Clock::now();
    for (auto& [key, entry] : entries_) {
        std::erase_if(entry.warm, [&entry = entry](Warm& warm) {
            const bool fit = is_fit(entry, warm);
            if (!fit) end(warm);
            return !fit;
        });
    }
    for (auto& [key, entry] : entries_) {
        if (lacking(entry) == 0 || now < entry.start_at) continue;
        Warm warm{.runner = {}, .started = now, .paths = what_is_there(entry.request)};  // before they are mounted
        auto made = make_(fmt::format("warm-{}", ++made_), entry.request);
        entry.start_at = Clock::now() + (made ? Clock::duration(kBetween) : kAfterFailure);
        if (!made) {
            log::warning("keeper", "no runner can be held ready: {}", made.error().what);
            continue;
        }
        warm.runner = std::move(*made);
        entry.warm.push_back(std::move(warm));
        return;
    }
}

std::size_t Pool::lacking(const Entry& entry) const
{
    return size() >= kMostWarm || entry.warm.size() >= entry.wanted ? 0 : entry.wanted - entry.warm.size();
}

std::optional<Pool::Clock::time_point> Pool::next() const
{
    std::optional<Clock::time_point> first;
    const auto consider = [&](Clock::time_point time) {
        if (!first || time < *first) first = time;
    };
    for (const auto& [key, entry] : entries_) {
        if (lacking(entry) > 0) consider(entry.start_at);
        for (const Warm& warm : entry.warm) consider(warm.started + kOldest);
    }
    return first;
}

std::vector<const platform::Handle*> Pool::ends() const
{
    std::vector<const platform::Handle*> out;
    for (const auto& [key, entry] : entries_)
        for (const Warm& warm : entry.warm) out.push_back(&warm.runner.sandbox->end_handle());
    return out;
}

std::size_t Pool::size() const
{
    std::size_t count = 0;
    for (const auto& [key, entry] : entries_) count += entry.warm.size();
    return count;
}

}  // namespace mill::keeper
