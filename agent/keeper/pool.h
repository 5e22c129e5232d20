// agent/keeper/pool.h -- runners that were started ahead of their jobs: each for one request, and for one job.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/keeper/runners.h"

namespace mill::keeper {

/// A runner that waits here has its package checked and its expressions compiled, and holds nothing of a job: no input, no variable,
/// no token, no credential. The agent says how many for which request; who is taken is not put back. Thread: the keeper's.
class Pool {
public:
    using Clock = std::chrono::steady_clock;
    using Make = std::function<Result<Runner>(const std::string& name, const SandboxRequest& request)>;
    explicit Pool(Make make) : make_(std::move(make)) {}

    /// `request` as encode(SandboxRequest): what is not the same to the byte is another. Errors: corrupt; unavailable (too many requests).
    Status want(const std::string& request, std::size_t count);
    /// One that lives, is not too old, and whose paths still are what was mounted; those that are not are ended.
    std::optional<Runner> take(const std::string& request);
    /// Starts at most one (some milliseconds), a moment after one was taken; ends those that are too old or no longer wanted.
    void refill();
    /// When `refill` has something to do.
    std::optional<Clock::time_point> next() const;
    /// Of all that wait, so that an end is noticed.
    std::vector<const platform::Handle*> ends() const;
    void drop_all();
    std::size_t size() const;

private:
    struct Warm {
        Runner runner;
        Clock::time_point started;
        std::string paths;  ///< what the granted paths were when they were mounted
    };
    struct Entry {
        SandboxRequest request;
        std::size_t wanted = 0;
        std::deque<Warm> warm;  ///< the oldest first
        Clock::time_point start_at;
    };
    std::size_t lacking(const Entry& entry) const;
    static bool is_fit(Entry& entry, Warm& warm);
    static void end(Warm& warm);
    static void drop(std::deque<Warm>& warm, std::size_t keep);

    Make make_;
    std::map<std::string, Entry> entries_;
    std::uint64_t made_ = 0;
};

}  // namespace mill::keeper
