// agent/runner/reporter.h -- makes the attempt's events: numbered, fenced by size and quota, kept until they are acknowledged.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "protocol/event.h"
#include "workflows/interpreter.h"

namespace mill::runner {

struct Quotas {
    std::uint64_t steps = 50'000, logs = 20'000;  ///< records
    std::size_t bytes = 32 * 1024 * 1024;         ///< of both; what is lost is counted in a gap record
};

inline constexpr std::size_t kMaxLogText = 64 * 1024;

/// A `started` record is held back for a moment: when the task ends meanwhile, its `completed` record stands for both.
/// Thread: one.
class Reporter {
public:
    using Send = std::function<void(std::string)>;
    using Resend = std::function<void(std::deque<std::string>)>;
    Reporter(const Clock& clock, Send send, Resend resend, Quotas quotas = {});

    void begin(std::uint64_t first_sequence) { next_ = first_sequence; }
    void step(const workflows::TaskChange& change, Json detail = {});  ///< `detail`: what a traced job keeps of it
    void log(std::string_view level, std::string_view text, std::string_view task) { say(level, text, task, false); }
    void tell(std::string_view text, std::string_view task) { say("info", text, task, true); }   ///< a line of the log that a person is to see
    void state(protocol::JobState state);  ///< waiting, and running again
    std::uint64_t last() const { return next_ - 1; }   ///< number of the last event
    void metric(Json point);               ///< a figure that the factory publishes when it takes the event; no quota: who calls bounds them
    /// The last event; gap records go before it. Nothing is taken after it.
    void finish(protocol::JobState state, protocol::Reason reason, Json more);
    bool finished() const { return final_ != 0; }
    bool settled() const { return final_ != 0 && acknowledged_ >= final_; }

    void acknowledge(std::uint64_t sequence);
    void resume(std::uint64_t sequence);  ///< a new reader: sends again all that is above

    void flush(SteadyTime now);                  ///< `started` records that waited long enough
    std::optional<SteadyTime> flush_at() const;

private:
    struct Held {
        std::string task;
        Json body;
        WallTime since;
        SteadyTime due;
    };
    void say(std::string_view level, std::string_view text, std::string_view task, bool tells);
    void flush_to(std::size_t count);
    void record(protocol::EventKind kind, Json body, WallTime time);
    void add(protocol::Event event);

    const Clock& clock_;
    Send send_;
    Resend resend_;
    Quotas quotas_;
    std::uint64_t next_ = 2, acknowledged_ = 0, final_ = 0;
    std::uint64_t steps_ = 0, logs_ = 0, lost_steps_ = 0, lost_logs_ = 0;
    std::size_t bytes_ = 0;
    std::vector<Held> held_;
    std::deque<std::pair<std::uint64_t, std::string>> kept_;
};

/// A piece of UTF-8 text of at most `bytes`, cut between characters.
std::string_view cut_text(std::string_view text, std::size_t bytes);
/// The same, which says that it was cut when it was.
std::string shortened(std::string_view text, std::size_t bytes);

}  // namespace mill::runner
