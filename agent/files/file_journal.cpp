#include "agent/files/file_journal.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/json.h"
#include "platform/files.h"

namespace mill::agent {
namespace {

Json json_of(const std::string& trigger, const SeenFile& file, const char* word)
{
    return Json::object({{"is", word}, {"trigger", trigger}, {"path", file.path}, {"inode", file.inode}, {"size", file.size}, {"modified", file.modified.microseconds}});
}

std::string line_of(const std::string& trigger, const SeenFile& file, const char* word) { return dump_json(json_of(trigger, file, word)) + "\n"; }

}  // namespace

Result<std::unique_ptr<FileJournal>> FileJournal::open(const std::string& path)
{
    auto file = platform::AppendFile::open(path);
    if (!file) return fail(path, std::move(file.error()));
    auto text = file->read(0, static_cast<std::size_t>(file->size()));
    if (!text) return fail(path, std::move(text.error()));
    std::unique_ptr<FileJournal> out(new FileJournal(std::move(*file), path));
    std::size_t at = 0, number = 0;
    while (at < text->size()) {
        ++number;
        const std::size_t end = text->find('\n', at);
        const auto json = end == std::string::npos ? Result<Json>(fail(Errc::corrupt, "torn")) : parse_json(std::string_view(*text).substr(at, end - at));
        if (!json && (end == std::string::npos || end + 1 == text->size())) {   // what was being written when the power went
            if (auto cut = out->file_.truncate(at); !cut) return fail(path, std::move(cut.error()));
            break;
        }
        if (!json) return fail(Errc::corrupt, fmt::format("{}: line {} is none of this program's: move the file away; files that are still there are then reported again, which makes no second job", path, number));
        const auto count = [&](const char* member) { return static_cast<std::uint64_t>(std::max<std::int64_t>(0, (*json)[member].as_integer())); };
        const SeenFile seen{(*json)["path"].as_string(), count("inode"), count("size"), WallTime{(*json)["modified"].as_integer()}};
        const std::string& trigger = (*json)["trigger"].as_string();
        const std::string& is = (*json)["is"].as_string();
        if (is == "gone") out->entries_.erase(key(trigger, seen));
        else out->entries_[key(trigger, seen)] = {trigger, seen, is == "done"};
        at = end + 1;
    }
    return out;
}

Status FileJournal::append(std::string line)
{
    if (auto done = file_.append(line); !done) return fail(path_, std::move(done.error()));
    dirty_ = true;
    return {};
}

Status FileJournal::add(const std::string& trigger, const SeenFile& file)
{
    if (auto done = append(line_of(trigger, file, "found")); !done) return done;
    entries_[key(trigger, file)] = {trigger, file, false};
    return {};
}

Status FileJournal::done(const Entry& entry)
{
    if (auto done = append(line_of(entry.trigger, entry.file, "done")); !done) return done;
    entries_[key(entry.trigger, entry.file)].done = true;
    return {};
}

Status FileJournal::forget(const Entry& entry)
{
    if (auto done = append(line_of(entry.trigger, entry.file, "gone")); !done) return done;
    entries_.erase(key(entry.trigger, entry.file));
    return {};
}

Status FileJournal::sync()
{
    if (!dirty_) return {};
    if (auto done = file_.sync(); !done) return fail(path_, std::move(done.error()));
    dirty_ = false;
    return file_.size() > compact_above_ ? compact() : Status();
}

Status FileJournal::compact()
{
    std::string text;
    for (const auto& [key, entry] : entries_) text += line_of(entry.trigger, entry.file, entry.done ? "done" : "found");
    if (auto done = platform::write_file(path_, text, 0600); !done) return fail(path_, std::move(done.error()));
    auto file = platform::AppendFile::open(path_);
    if (!file) return fail(path_, std::move(file.error()));
    file_ = std::move(*file);
    compact_above_ = std::max<std::uint64_t>(1024 * 1024, file_.size() * 4);
    return {};
}

std::vector<FileJournal::Entry> FileJournal::pending(const std::string& trigger, std::size_t most) const
{
    std::vector<Entry> out;
    for (auto at = entries_.lower_bound({trigger, {}}); at != entries_.end() && at->second.trigger == trigger && out.size() < most; ++at)
        if (!at->second.done) out.push_back(at->second);
    std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.file.path < b.file.path; });
    return out;
}

std::vector<FileJournal::Entry> FileJournal::of(const std::string& trigger) const
{
    std::vector<Entry> out;
    for (auto at = entries_.lower_bound({trigger, {}}); at != entries_.end() && at->second.trigger == trigger; ++at) out.push_back(at->second);
    return out;
}

}  // namespace mill::agent
