// agent/journal_state.h -- what the journal's records add up to: attempts, their unsent events, names that were ours before.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/finished_names.h"
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
    std::vector<EventRef> events;      ///< above `acknowledged`, without holes
    std::vector<EventRef> said;        ///< up to `acknowledged`, with holes: a factory that lost them hears them again
    WallTime finished;                 ///< of one that is
    bool done() const { return stage == Stage::ended && acknowledged >= last_sequence; }
};

/// Pure: no file, no clock. Thread: one.
class JournalState {
public:
    /// Told of each attempt that is finished, with what it was and said; null: nothing but its name was known.
    using Retire = std::function<void(const protocol::AttemptId&, WallTime, AttemptEntry*)>;
    explicit JournalState(Retire retire = {}) : retire_(std::move(retire)) {}
    /// Records that make no sense here (a second `taken`, an event of nobody) change nothing or heal what they can.
    void apply(const Record& record);

    const std::map<protocol::AttemptId, AttemptEntry>& open() const { return open_; }
    /// The one that was finished last, of those that began, and its last event.
    const std::optional<std::pair<protocol::AttemptId, std::uint64_t>>& last() const { return last_; }
    AttemptEntry* find(const protocol::AttemptId& id);
    /// Held now, or finished and not yet forgotten.
    bool knows(const protocol::AttemptId& id) const { return open_.contains(id) || finished_.contains(id); }
    void forget_before(WallTime time) { finished_.forget_before(time); }
    /// After compaction: the events' new places.
    void replace(std::map<protocol::AttemptId, AttemptEntry> open) { open_ = std::move(open); }

private:
    void apply_event(AttemptEntry& entry, const Record& record);
    void finish(const Record& record);
    Retire retire_;
    std::map<protocol::AttemptId, AttemptEntry> open_;
    std::optional<std::pair<protocol::AttemptId, std::uint64_t>> last_;
    FinishedNames finished_;
};

}  // namespace mill::agent
