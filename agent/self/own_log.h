// agent/self/own_log.h -- the agent's log lines on their way to the factory: on disk, bounded, and sent when there is a connection.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/factory_client.h"
#include "agent/self/vitals.h"
#include "platform/append_file.h"
#include "platform/base/log.h"

namespace mill::agent {

/// Lines outlive the process, but for the last ones of a power cut. Over the quota the oldest go, and a line says how many. Thread: any.
class OwnLog {
public:
    struct Line {
        std::uint64_t sequence = 0;   ///< rises; a new file begins with the time in microseconds, so that it rises over that, too
        WallTime time;
        std::string level, room, text;
    };
    /// Reads what an earlier process left. Errors: denied, unavailable.
    static Result<std::unique_ptr<OwnLog>> open(const std::string& path, const Clock& clock, std::size_t quota = 1024 * 1024);

    void take(log::Level level, std::string_view room, std::string_view text);
    /// Until something waits; false when stopped.
    bool wait(std::stop_token stop);
    std::vector<Line> pending(std::size_t most) const;
    /// Up to `sequence`. A factory that knows higher numbers than were ever given here (the clock went back) makes the rest go above them.
    void acknowledge(std::uint64_t sequence);
    /// False when `time` is over first.
    bool wait_empty(Milliseconds time);

private:
    OwnLog(platform::AppendFile file, std::string path, const Clock& clock, std::size_t quota)
        : file_(std::move(file)), path_(std::move(path)), clock_(clock), quota_(quota)
    {
    }
    void keep_locked(Line line);
    void drop_oldest_locked();
    void rewrite_locked();

    platform::AppendFile file_;
    const std::string path_;
    const Clock& clock_;
    const std::size_t quota_;
    mutable std::mutex mutex_;
    std::condition_variable_any come_, gone_;
    std::deque<Line> lines_;
    std::size_t bytes_ = 0;       // of `lines_`
    std::uint64_t last_ = 0;
    std::uint64_t lost_ = 0;      // since the last line that said so
};

/// Sends them, in batches. Ends when the factory does not know the call (an older one), or is stopped. Thread: its own.
void ship_log(OwnLog& own_log, FactoryClient& factory, const Clock& clock, Vitals::Loop& vital, std::stop_token stop);

}  // namespace mill::agent
