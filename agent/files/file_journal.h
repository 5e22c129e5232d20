// agent/files/file_journal.h -- which files were found and which of them the factory knows, on disk before anybody is told.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/files/scan.h"
#include "platform/append_file.h"

namespace mill::agent {

/// Lines of JSON at the end of one file; a torn last line is cut off. Thread: one.
class FileJournal {
public:
    static constexpr std::size_t kMost = 200'000;   ///< files that are remembered

    struct Entry {
        std::string trigger;
        SeenFile file;
        bool done = false;      ///< the factory has said what came of it
    };

    /// Errors: denied, unavailable, corrupt (a line in the middle is none: says which; nothing is thrown away).
    static Result<std::unique_ptr<FileJournal>> open(const std::string& path);

    bool knows(const std::string& trigger, const SeenFile& file) const { return entries_.contains(key(trigger, file)); }
    bool full() const { return entries_.size() >= kMost; }
    /// Safe on the disk after the next `sync`.
    Status add(const std::string& trigger, const SeenFile& file);
    Status done(const Entry& entry);
    /// One that is done and is not there any more.
    Status forget(const Entry& entry);
    Status sync();

    std::vector<Entry> pending(const std::string& trigger, std::size_t most) const;   ///< to be reported, in the order of their names
    std::vector<Entry> of(const std::string& trigger) const;
    std::size_t size() const { return entries_.size(); }

private:
    FileJournal(platform::AppendFile file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
    using Key = std::pair<std::string, std::string>;   // trigger, identity
    static Key key(const std::string& trigger, const SeenFile& file) { return {trigger, file.identity()}; }
    Status append(std::string line);
    Status compact();

    platform::AppendFile file_;
    const std::string path_;
    std::map<Key, Entry> entries_;
    bool dirty_ = false;
    std::uint64_t compact_above_ = 1024 * 1024;
};

}  // namespace mill::agent
