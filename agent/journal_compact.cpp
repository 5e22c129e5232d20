// The journal's file written anew: without what nobody needs any more.
#include <algorithm>
#include <filesystem>
#include <vector>

#include "agent/journal.h"
#include "platform/base/log.h"

namespace mill::agent {
namespace {

/// The new file: records behind each other. The first error stays, and ends all that follows.
class NewFile {
public:
    explicit NewFile(platform::AppendFile& file) : file_(file) {}
    const Status& status() const { return status_; }
    /// Where its text lies.
    std::uint64_t put(const Record& record)
    {
        const std::uint64_t at = file_.size();
        if (status_) status_ = file_.append(encode(record));
        return at + text_offset(record.id);
    }
    void put_name(const protocol::AttemptId& id, WallTime time)
    {
        put({RecordType::finished, id, 0, static_cast<std::uint64_t>(time.microseconds), {}, 0});
    }
    void failed(Error error)
    {
        if (status_) status_ = fail(std::move(error));
    }

private:
    platform::AppendFile& file_;
    Status status_;
};

}  // namespace

void Journal::maybe_compact_locked()
{
    if (file_.size() < compact_at_) return;
    const std::uint64_t before = file_.size();
    if (auto done = compact_locked(); !done) {
        log::error("journal", "{}: cannot be made smaller: {}", path_, done.error().what);
        compact_at_ = before * 2;  // not again at once
        return;
    }
    compact_at_ = std::max(options_.compact_above, file_.size() * 2);
}

Status Journal::compact_locked()
{
    const std::string path = path_ + ".new";
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    auto file = platform::AppendFile::open(path, 0600);
    if (!file) return fail(std::move(file.error()));
    NewFile out(*file);
    const auto put_attempt = [&](const protocol::AttemptId& id, AttemptEntry& entry) {
        const auto text_of = [&](Result<std::string> text) {
            if (!text) out.failed(std::move(text.error()));
            return text ? std::move(*text) : std::string();
        };
        entry.offer.offset = out.put({RecordType::taken, id, 0, 0, text_of(text_locked(entry.offer)), 0});
        const auto started_at = static_cast<std::uint64_t>(entry.started.microseconds);
        const auto put_event = [&](EventRef& ref) {
            const std::string text = text_of(event_locked(ref));
            const bool first = ref.sequence == 1 && entry.started.microseconds != 0;
            const bool last = ref.sequence == entry.last_sequence && entry.stage == Stage::ended;
            ref.offset = out.put({first ? RecordType::started : RecordType::event, id, ref.sequence, first ? started_at : last ? 1U : 0U, text, 0});
            ref.length = static_cast<std::uint32_t>(text.size());
        };
        // `started` keeps its time even when its event was acknowledged long ago.
        if (entry.stage != Stage::taken && entry.acknowledged > 0 && (entry.said.empty() || entry.said.front().sequence != 1))
            out.put({RecordType::started, id, 1, started_at, {}, 0});
        for (EventRef& ref : entry.said) put_event(ref);
        if (entry.acknowledged > 0) out.put({RecordType::acknowledged, id, entry.acknowledged, 0, {}, 0});
        for (EventRef& ref : entry.events) put_event(ref);
    };

    const WallTime now = clock_.now(), memory = now - std::chrono::duration_cast<Microseconds>(options_.memory);
    const auto put_name = [&](const protocol::AttemptId& id, WallTime time) {
        if (time >= memory && state_.knows(id)) out.put_name(id, time);   // in memory the oldest of a million went
    };
    auto read = read_history(file_, put_name);
    if (!read) return fail(std::move(read.error()));
    JournalHistory history = std::move(*read);
    history.trim(now - std::chrono::duration_cast<Microseconds>(options_.kept), options_.kept_bytes, options_.said_bytes, put_name);
    std::map<protocol::AttemptId, AttemptEntry> open = state_.open();
    for (auto& [id, entry] : open) {
        shorten(entry, options_.said_bytes);
        put_attempt(id, entry);
    }
    // In the order they were finished, so that the last one is the last one for the next reader, too.
    std::vector<std::pair<WallTime, const protocol::AttemptId*>> order;
    for (const auto& [id, entry] : history.kept) order.emplace_back(entry.finished, &id);
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [time, id] : order) {
        put_attempt(*id, history.kept.at(*id));
        out.put_name(*id, time);
    }
    if (!out.status()) return fail(Error(out.status().error()));
    if (auto synced = file->sync(); !synced) return fail(std::move(synced.error()));
    if (auto swapped = platform::replace_file(path, path_); !swapped) return fail(std::move(swapped.error()));
    file_ = std::move(*file);
    state_.forget_before(memory);
    state_.replace(std::move(open));
    if (history_) history_ = std::move(history);
    safe_ = needed_ = file_.size();
    return {};
}

}  // namespace mill::agent
