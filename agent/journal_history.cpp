#include "agent/journal_history.h"

#include <algorithm>
#include <string>
#include <vector>

namespace mill::agent {
namespace {

constexpr std::size_t kReadAhead = 1024 * 1024;

/// Reads a file in large pieces for `scan`.
class Window {
public:
    explicit Window(const platform::AppendFile& file) : file_(file) {}
    std::string_view view(std::uint64_t offset, std::size_t size)
    {
        if (offset < start_ || offset + size > start_ + bytes_.size()) {
            const std::uint64_t left = file_.size() - std::min(offset, file_.size());
            auto piece = file_.read(offset, static_cast<std::size_t>(std::min<std::uint64_t>(left, std::max(size, kReadAhead))));
            if (!piece && !problem_) problem_ = piece.error();
            start_ = offset;
            bytes_ = piece ? std::move(*piece) : std::string();
        }
        return std::string_view(bytes_).substr(offset - start_, size);
    }

    const std::optional<Error>& problem() const { return problem_; }

private:
    const platform::AppendFile& file_;
    std::optional<Error> problem_;
    std::uint64_t start_ = 0;
    std::string bytes_;
};

}  // namespace

Result<ScanReport> scan_file(const platform::AppendFile& file, const std::function<void(const Record&)>& visit)
{
    Window window(file);
    const ScanReport report = scan(file.size(), [&](std::uint64_t offset, std::size_t size) { return window.view(offset, size); }, visit);
    if (const auto& problem = window.problem()) return fail(Error(*problem));
    return report;
}

bool JournalHistory::keep(const protocol::AttemptId& id, AttemptEntry&& entry)
{
    if (!entry.done() || entry.offer.length == 0) return false;
    kept[id] = std::move(entry);
    return true;
}

void shorten(AttemptEntry& entry, std::uint64_t each)
{
    std::uint64_t size = 0;
    std::vector<EventRef> left;
    for (auto at = entry.said.rbegin(); at != entry.said.rend(); ++at) {
        const bool edge = at == entry.said.rbegin() || at->sequence == 1;
        if (!edge && size + at->length > each) continue;
        if (!edge) size += at->length;
        left.push_back(*at);
    }
    std::reverse(left.begin(), left.end());
    entry.said = std::move(left);
}

void JournalHistory::trim(WallTime time, std::uint64_t bytes, std::uint64_t each, const std::function<void(const protocol::AttemptId&, WallTime)>& gone)
{
    std::multimap<std::int64_t, protocol::AttemptId> newest;
    for (auto& [id, entry] : kept) {
        shorten(entry, each);
        newest.emplace(-entry.finished.microseconds, id);
    }
    std::uint64_t all = 0;
    for (const auto& [age, id] : newest) {
        const auto at = kept.find(id);
        all += at->second.offer.length;
        for (const EventRef& ref : at->second.said) all += ref.length;
        if (at->second.finished >= time && all <= bytes) continue;
        gone(id, at->second.finished);
        kept.erase(at);
    }
}

Result<JournalHistory> read_history(const platform::AppendFile& file, const std::function<void(const protocol::AttemptId&, WallTime)>& name)
{
    JournalHistory out;
    JournalState replay([&](const protocol::AttemptId& id, WallTime time, AttemptEntry* entry) {
        if ((entry == nullptr || !out.keep(id, std::move(*entry))) && name) name(id, time);
    });
    if (auto read = scan_file(file, [&](const Record& record) { replay.apply(record); }); !read) return fail(std::move(read.error()));
    return out;
}

}  // namespace mill::agent
