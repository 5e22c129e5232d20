// agent/journal_state.h -- what the journal's records add up to: attempts, their unsent events, names that were ours before.
#pragma once

#include <deque>
#include <map>
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
    bool done() const { return stage == Stage::ended && acknowledged >= last_sequence; }
};

/// Pure: no file, no clock. Thread: one.
class JournalState {
public:
    /// Records that make no sense here (a second `taken`, an event of nobody) change nothing or heal what they can.
    void apply(const Record& record);

    const std::map<protocol::AttemptId, AttemptEntry>& open() const { return open_; }
    AttemptEntry* find(const protocol::AttemptId& id);
    /// Held now, or finished and not yet forgotten.
    bool knows(const protocol::AttemptId& id) const { return open_.contains(id) || finished_.contains(id); }
    const std::map<protocol::AttemptId, WallTime>& finished() const { return finished_; }
    void forget_before(WallTime time);
    /// After compaction: the events' new places.
    void replace(std::map<protocol::AttemptId, AttemptEntry> open) { open_ = std::move(open); }

private:
    void apply_event(AttemptEntry& entry, const Record& record);
    std::map<protocol::AttemptId, AttemptEntry> open_;
    std::map<protocol::AttemptId, WallTime> finished_;
};

}  // namespace mill::agent
