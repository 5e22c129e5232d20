// agent/journal_state.h -- what the journal's records add up to: attempts, their unsent events, names that were ours before.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <string>

#include "agent/journal_record.h"
#include "platform/base/clock.h"

namespace mill::agent {

enum class Stage { taken, started, ended };

/// Where an event's JSON text lies in the file. length 0: it was lost to damage, a gap stands for it.
struct EventRef {
    std::uint64_t sequence = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
};

struct AttemptEntry {
    Stage stage = Stage::taken;
    EventRef offer;                    ///< text of the taken record
    SteadyTime started;                ///< of this boot
    std::uint64_t last_sequence = 0;
    std::uint64_t acknowledged = 0;
    std::deque<EventRef> events;       ///< above `acknowledged`, without holes
    std::deque<EventRef> said;         ///< up to `acknowledged`, with holes: a factory that lost them hears them again
    WallTime finished;                 ///< of a kept one
    bool done() const { return stage == Stage::ended && acknowledged >= last_sequence; }
};

/// Pure: no file, no clock. Thread: one.
class JournalState {
public:
    /// Records that make no sense here (a second `taken`, an event of nobody) change nothing or heal what they can.
    void apply(const Record& record);

    const std::map<protocol::AttemptId, AttemptEntry>& open() const { return open_; }
    /// Finished ones that began, with what they said.
    const std::map<protocol::AttemptId, AttemptEntry>& kept() const { return kept_; }
    /// The one that was finished last.
    const std::optional<protocol::AttemptId>& last() const { return last_; }
    /// Of `kept`: those before `time` go, then the oldest until the rest has at most `bytes`; of what any attempt said, the newest `each` bytes
    /// stay, and its first and last.
    void trim(WallTime time, std::uint64_t bytes, std::uint64_t each);
    AttemptEntry* find(const protocol::AttemptId& id);
    /// Held now, or finished and not yet forgotten.
    bool knows(const protocol::AttemptId& id) const { return open_.contains(id) || finished_.contains(id); }
    const std::map<protocol::AttemptId, WallTime>& finished() const { return finished_; }
    void forget_before(WallTime time);
    /// After compaction: the events' new places.
    void replace(std::map<protocol::AttemptId, AttemptEntry> open, std::map<protocol::AttemptId, AttemptEntry> kept)
    {
        open_ = std::move(open);
        kept_ = std::move(kept);
    }

private:
    void apply_event(AttemptEntry& entry, const Record& record);
    std::map<protocol::AttemptId, AttemptEntry> open_, kept_;
    std::optional<protocol::AttemptId> last_;
    std::map<protocol::AttemptId, WallTime> finished_;
};

}  // namespace mill::agent
