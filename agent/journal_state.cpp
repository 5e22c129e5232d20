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
        finished_[record.id] = WallTime{static_cast<std::int64_t>(record.number)};
        if (const auto found = open_.find(record.id); found != open_.end()) {
            AttemptEntry& entry = found->second;
            entry.finished = finished_[record.id];
            if (entry.done() && entry.offer.length > 0) {
                last_ = record.id;
                kept_[record.id] = std::move(entry);
            }
            open_.erase(found);
        }
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
        while (!entry.events.empty() && entry.events.front().sequence <= record.sequence) {
            if (entry.events.front().length > 0) entry.said.push_back(entry.events.front());
            entry.events.pop_front();
        }
        break;
    case RecordType::finished: break;
    }
}

void JournalState::trim(WallTime time, std::uint64_t bytes, std::uint64_t each)
{
    const auto shorten = [&](AttemptEntry& entry) {
        std::uint64_t size = 0;
        std::deque<EventRef> left;
        for (auto at = entry.said.rbegin(); at != entry.said.rend(); ++at) {
            const bool edge = at == entry.said.rbegin() || at->sequence == 1;
            if (!edge && size + at->length > each) continue;
            if (!edge) size += at->length;
            left.push_front(*at);
        }
        entry.said = std::move(left);
    };
    for (auto& [id, entry] : open_) shorten(entry);
    std::multimap<std::int64_t, protocol::AttemptId> newest;
    for (auto& [id, entry] : kept_) {
        shorten(entry);
        newest.emplace(-entry.finished.microseconds, id);
    }
    std::uint64_t all = 0;
    for (const auto& [age, id] : newest) {
        const AttemptEntry& entry = kept_.at(id);
        all += entry.offer.length;
        for (const EventRef& ref : entry.said) all += ref.length;
        if (entry.finished < time || all > bytes) kept_.erase(id);
    }
}

void JournalState::forget_before(WallTime time)
{
    std::erase_if(finished_, [&](const auto& item) { return item.second < time; });
}

}  // namespace mill::agent
