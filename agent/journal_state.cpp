#include "agent/journal_state.h"

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

void JournalState::apply(const Record& record)
{
    if (record.type == RecordType::finished) {
        open_.erase(record.id);
        finished_[record.id] = WallTime{static_cast<std::int64_t>(record.number)};
        return;
    }
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
        while (!entry.events.empty() && entry.events.front().sequence <= record.sequence) entry.events.pop_front();
        break;
    case RecordType::finished: break;
    }
}

void JournalState::forget_before(WallTime time)
{
    std::erase_if(finished_, [&](const auto& item) { return item.second < time; });
}

}  // namespace mill::agent
