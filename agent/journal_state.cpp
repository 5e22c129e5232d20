#include "agent/journal_state.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mill::agent {
namespace {

constexpr std::uint64_t kMaxHole = 100'000;  // lost records in one place; beyond, the number itself is not believed

}  // namespace

AttemptEntry* JournalState::find(const protocol::AttemptId& id)
{
    const auto found = open_.find(id);
    return found == open_.end() ? nullptr : &found->second;
}

void JournalState::apply_event(AttemptEntry& entry, const Record& record)
{
    if (record.sequence <= entry.last_sequence || record.sequence - entry.last_sequence > kMaxHole) return;
    for (std::uint64_t lost = entry.last_sequence + 1; lost < record.sequence; ++lost) entry.events.push_back({lost, 0, 0});
    entry.events.push_back({record.sequence, record.text_offset, static_cast<std::uint32_t>(record.text.size())});
    entry.last_sequence = record.sequence;
}

void JournalState::finish(const Record& record)
{
    const WallTime time{static_cast<std::int64_t>(record.number)};
    finished_.add(record.id, time);
    const auto found = open_.find(record.id);
    if (found == open_.end()) {
        if (retire_) retire_(record.id, time, nullptr);
        return;
    }
    AttemptEntry& entry = found->second;
    entry.finished = time;
    if (entry.done() && entry.offer.length > 0) last_ = std::pair(record.id, entry.acknowledged);
    if (retire_) retire_(record.id, time, &entry);
    open_.erase(found);
}

void JournalState::apply(const Record& record)
{
    if (record.type == RecordType::finished) return finish(record);
    if (finished_.contains(record.id)) return;
    // An entry without its `taken` (lost to damage) is still ours: forgetting it could start it twice.
    AttemptEntry& entry = open_[record.id];
    switch (record.type) {
    case RecordType::taken:
        entry.offer = {0, record.text_offset, static_cast<std::uint32_t>(record.text.size())};
        break;
    case RecordType::started:
        if (entry.stage == Stage::taken) entry.stage = Stage::started;
        entry.started = SteadyTime{static_cast<std::int64_t>(record.number)};
        apply_event(entry, record);
        break;
    case RecordType::event:
        if (entry.stage == Stage::ended) break;
        apply_event(entry, record);
        if (record.number == 1) entry.stage = Stage::ended;
        else if (entry.stage == Stage::taken) entry.stage = Stage::started;  // its `started` was lost
        break;
    case RecordType::acknowledged:
        if (record.sequence <= entry.acknowledged) break;
        if (record.sequence > entry.last_sequence) {
            if (record.sequence - entry.last_sequence > kMaxHole) break;
            entry.last_sequence = record.sequence;  // the event itself was lost to damage, and the factory has it
            if (entry.stage == Stage::taken) entry.stage = Stage::started;
        }
        entry.acknowledged = record.sequence;
        {
            const auto end = std::find_if(entry.events.begin(), entry.events.end(), [&](const EventRef& ref) { return ref.sequence > record.sequence; });
            std::copy_if(entry.events.begin(), end, std::back_inserter(entry.said), [](const EventRef& ref) { return ref.length > 0; });
            entry.events.erase(entry.events.begin(), end);
        }
        break;
    case RecordType::finished: break;
    }
}

}  // namespace mill::agent
