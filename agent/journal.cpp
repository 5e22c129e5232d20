#include "agent/journal.h"

#include <filesystem>

#include <fmt/format.h>

#include "platform/base/log.h"

namespace mill::agent {

Journal::Journal(platform::AppendFile file, std::string path, const Clock& clock, Options options)
    : path_(std::move(path)), clock_(clock), options_(options), file_(std::move(file)),
      state_([this](const protocol::AttemptId& id, WallTime, AttemptEntry* entry) {
          if (history_ && entry != nullptr) history_->keep(id, AttemptEntry(*entry));
      })
{
}

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path, const Clock& clock)
{
    return open(path, clock, Options{});
}

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path, const Clock& clock, Options options)
{
    auto file = platform::AppendFile::open(path, 0600);
    if (!file) return fail("journal", std::move(file.error()));
    std::unique_ptr<Journal> journal(new Journal(std::move(*file), path, clock, options));
    auto scanned = scan_file(journal->file_, [&](const Record& record) { journal->state_.apply(record); });
    if (!scanned) return fail("journal", std::move(scanned.error()));
    journal->report_ = *scanned;
    const ScanReport& report = journal->report_;
    if (report.damaged > 0) {
        std::error_code ignored;
        std::filesystem::copy_file(path, fmt::format("{}.damaged-{}", path, clock.now().microseconds), ignored);
        log::warning("journal", "{}: {} bytes in the middle are damaged; kept a copy, the records lost stand as gaps", path, report.damaged);
    }
    if (report.torn > 0) {
        log::warning("journal", "{}: cut off {} bytes of a record that was being written", path, report.torn);
        if (auto cut = journal->file_.truncate(report.good_end); !cut) return fail("journal", std::move(cut.error()));
    }
    if (auto synced = journal->file_.sync(); !synced) return fail("journal", std::move(synced.error()));
    journal->safe_ = journal->file_.size();
    journal->compact_at_ = options.compact_above;
    journal->maybe_compact_locked();
    return journal;
}

std::vector<Journal::Held> Journal::held() const
{
    const std::scoped_lock lock(mutex_);
    std::vector<Held> out;
    for (const auto& [id, entry] : state_.open()) {
        auto offer = text_locked(entry.offer);
        out.push_back({id, entry.stage, offer ? std::move(*offer) : std::string(), entry.started, entry.last_sequence, entry.acknowledged, withheld_.contains(id)});
    }
    return out;
}

std::vector<Journal::Held> Journal::withheld() const
{
    {
        const std::scoped_lock lock(mutex_);
        if (withheld_.empty()) return {};
    }
    std::vector<Held> out = held();
    std::erase_if(out, [this](const Held& item) { return !item.withheld || is_refused(item.id); });
    return out;
}

void Journal::withhold(const protocol::AttemptId& id)
{
    const std::scoped_lock lock(mutex_);
    withheld_.insert(id);
}

void Journal::give(const protocol::AttemptId& id)
{
    {
        const std::scoped_lock lock(mutex_);
        withheld_.erase(id);
    }
    durable_.notify_all();
}

void Journal::refuse(const protocol::AttemptId& id)
{
    const std::scoped_lock lock(mutex_);
    if (withheld_.contains(id)) refused_.insert(id);
}

bool Journal::is_refused(const protocol::AttemptId& id) const
{
    const std::scoped_lock lock(mutex_);
    return refused_.contains(id);
}

bool Journal::is_withheld(const protocol::AttemptId& id) const
{
    const std::scoped_lock lock(mutex_);
    return withheld_.contains(id);
}

bool Journal::knows(const protocol::AttemptId& id) const
{
    const std::scoped_lock lock(mutex_);
    return state_.knows(id);
}

bool Journal::is_open(const protocol::AttemptId& id) const
{
    const std::scoped_lock lock(mutex_);
    return state_.open().contains(id);
}

std::uint64_t Journal::file_size() const
{
    const std::scoped_lock lock(mutex_);
    return file_.size();
}

Status Journal::append(Record record)
{
    const std::scoped_lock lock(mutex_);
    return append_locked(std::move(record));
}

Status Journal::append_locked(Record record)
{
    const std::uint64_t at = file_.size();
    if (auto done = file_.append(encode(record)); !done) return fail("journal", std::move(done.error()));
    record.text_offset = at + text_offset(record.id);
    state_.apply(record);
    // An offer is repeated; what began here nobody says again.
    const bool ours_alone = record.type == RecordType::taken && withheld_.contains(record.id);
    if (record.type == RecordType::started || record.type == RecordType::event || ours_alone) needed_ = file_.size();
    return {};
}

Status Journal::take(const protocol::AttemptId& id, std::string_view offer_json)
{
    return append({RecordType::taken, id, 0, 0, offer_json, 0});
}

Status Journal::start(const protocol::AttemptId& id, const protocol::Event& running, SteadyTime now)
{
    const std::string text = dump_json(to_json(running));
    return append({RecordType::started, id, running.sequence, static_cast<std::uint64_t>(now.microseconds), text, 0});
}

Status Journal::add(const protocol::AttemptId& id, const protocol::Event& event)
{
    const std::string text = dump_json(to_json(event));
    return append({RecordType::event, id, event.sequence, final_state(event) ? 1U : 0U, text, 0});
}

Status Journal::finish(const protocol::AttemptId& id)
{
    auto done = append({RecordType::finished, id, 0, static_cast<std::uint64_t>(clock_.now().microseconds), {}, 0});
    if (!done) return done;
    const std::scoped_lock lock(mutex_);
    withheld_.erase(id);
    refused_.erase(id);
    return done;
}

Status Journal::sync()
{
    const std::scoped_lock one(sync_mutex_);
    std::uint64_t end = 0;
    {
        const std::scoped_lock lock(mutex_);
        end = file_.size();
        if (needed_ <= safe_) {
            maybe_compact_locked();
            return {};
        }
    }
    if (auto synced = file_.sync(); !synced) return fail("journal", std::move(synced.error()));
    {
        const std::scoped_lock lock(mutex_);
        safe_ = end;
        maybe_compact_locked();
    }
    durable_.notify_all();
    return {};
}

bool Journal::pending_locked() const
{
    for (const auto& [id, entry] : state_.open())
        if (!entry.events.empty() && entry.events.front().offset < safe_ && !withheld_.contains(id)) return true;
    return false;
}

Result<std::string> Journal::text_locked(const EventRef& ref) const
{
    if (ref.length == 0) return std::string();
    return file_.read(ref.offset, ref.length);
}

Result<std::string> Journal::event_locked(const EventRef& ref) const
{
    auto text = text_locked(ref);
    if (!text || !text->empty()) return text;
    protocol::Event lost;
    lost.sequence = ref.sequence;
    lost.time = clock_.now();
    lost.kind = protocol::EventKind::gap;
    lost.body = Json::object({{"kind", "log"}, {"lost", 1}});
    return dump_json(to_json(lost));
}

Result<std::vector<Journal::Batch>> Journal::pending(std::size_t max_bytes)
{
    const std::scoped_lock lock(mutex_);
    std::vector<Batch> out;
    std::size_t bytes = 0;
    // Begins behind the attempt that came last, so that one attempt's flood does not hold up the others.
    const auto& attempts = state_.open();
    auto at = attempts.upper_bound(last_served_);
    for (std::size_t i = 0; i < attempts.size(); ++i, ++at) {
        if (at == attempts.end()) at = attempts.begin();
        const auto& [id, entry] = *at;
        if (withheld_.contains(id)) continue;
        Batch batch{id, {}};
        for (const EventRef& ref : entry.events) {
            if (ref.offset >= safe_) break;
            if (bytes > 0 && bytes + ref.length > max_bytes) break;
            auto text = event_locked(ref);
            if (!text) return fail("journal", std::move(text.error()));
            bytes += text->size();
            batch.events.push_back(std::move(*text));
        }
        if (!batch.events.empty()) {
            last_served_ = id;
            out.push_back(std::move(batch));
        }
        if (bytes >= max_bytes) break;
    }
    return out;
}

Status Journal::acknowledge(const protocol::AttemptId& id, std::uint64_t sequence)
{
    const std::scoped_lock lock(mutex_);
    AttemptEntry* entry = state_.find(id);
    if (entry == nullptr || sequence <= entry->acknowledged) return {};
    // A factory that acknowledges what was never sent was restored or is wrong: only what we have can be forgotten.
    if (auto done = append_locked({RecordType::acknowledged, id, std::min(sequence, entry->last_sequence), 0, {}, 0}); !done) return done;
    if (entry->done()) {
        const auto now = static_cast<std::uint64_t>(clock_.now().microseconds);
        if (auto done = append_locked({RecordType::finished, id, 0, now, {}, 0}); !done) return done;
    }
    acknowledged_.notify_all();
    return {};
}

Journal::Depth Journal::depth() const
{
    const std::scoped_lock lock(mutex_);
    Depth out;
    for (const auto& [id, entry] : state_.open()) {
        out.attempts += entry.events.empty() ? 0 : 1;
        out.events += entry.events.size();
        for (const EventRef& event : entry.events) out.bytes += event.length;
    }
    return out;
}

Result<std::optional<Journal::Said>> Journal::said_after(const protocol::AttemptId& after)
{
    const std::scoped_lock lock(mutex_);
    if (!history_) {
        auto read = read_history(file_);
        if (!read) return fail("journal", std::move(read.error()));
        history_ = std::move(*read);
    }
    const AttemptEntry* entry = nullptr;
    std::optional<Said> out;
    for (const auto* from : {&state_.open(), &std::as_const(history_->kept)}) {
        const auto found = from->upper_bound(after);
        if (found == from->end() || (out && out->id < found->first)) continue;
        entry = &found->second;
        out = Said{found->first, {}, {}};
    }
    if (!out) history_.reset();
    if (!out) return out;
    auto offer = text_locked(entry->offer);
    if (!offer) return fail("journal", std::move(offer.error()));
    out->offer = std::move(*offer);
    // One request has to hold it: of what was acknowledged the newest events, its first and its last; of what waits the first ones, since the
    // rest follows as ever.
    std::vector<const EventRef*> refs;
    std::uint64_t size = 0;
    for (auto at = entry->said.rbegin(); at != entry->said.rend(); ++at) {
        const bool edge = at == entry->said.rbegin() || at->sequence == 1;
        if (!edge && (size += at->length) > options_.said_bytes) continue;
        refs.insert(refs.begin(), &*at);
    }
    size = 0;
    for (const EventRef& ref : entry->events) {
        if (ref.offset >= safe_ || size > options_.said_bytes) break;
        size += ref.length;
        refs.push_back(&ref);
    }
    for (const EventRef* ref : refs) {
        auto text = text_locked(*ref);
        if (!text) return fail("journal", std::move(text.error()));
        if (!text->empty()) out->events.push_back(std::move(*text));
    }
    return out;
}

std::optional<std::pair<protocol::AttemptId, std::uint64_t>> Journal::last_finished() const
{
    const std::scoped_lock lock(mutex_);
    return state_.last();
}

bool Journal::empty() const
{
    const std::scoped_lock lock(mutex_);
    return empty_locked();
}

bool Journal::wait_empty(Milliseconds wait)
{
    std::unique_lock lock(mutex_);
    return acknowledged_.wait_for(lock, wait, [&] { return empty_locked(); });
}

bool Journal::empty_locked() const
{
    for (const auto& [id, entry] : state_.open())
        if (!entry.events.empty() && !withheld_.contains(id)) return false;
    return true;
}

bool Journal::wait_pending(std::optional<Milliseconds> wait, std::stop_token stop)
{
    std::unique_lock lock(mutex_);
    const auto there = [&] { return pending_locked(); };
    if (wait) return durable_.wait_for(lock, stop, *wait, there);
    return durable_.wait(lock, stop, there);
}

}  // namespace mill::agent
