// platform/folder.h -- a granted folder: its files are reached beneath it only, never through a link.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/result.h"
#include "platform/channel.h"

namespace mill::platform {

enum class WriteMode { create, replace, append };

struct FolderEntry {
    enum class Type { file, folder, link, other };
    std::string name;
    Type type = Type::other;
    std::uint64_t size = 0;
    unsigned mode = 0;  ///< permission bits
    WallTime modified;
    std::uint64_t device = 0, inode = 0;
};

/// A file that takes its place only when it is complete. Removed when destroyed without `commit`.
class NewFile {
public:
    virtual ~NewFile() = default;
    virtual Status append(std::string_view bytes) = 0;
    /// Syncs it and puts it in place, over what is there. Errors: conflict (not replaceable).
    virtual Status commit() = 0;
    virtual const Handle& handle() const = 0;
    virtual FolderEntry look() const = 0;
};

/// Names are relative, parts joined by '/'; "" is the folder itself. A part that is a symbolic link, "..", a mount trick or
/// a /proc link is refused by the operating system at the opening itself, so nothing can be swapped in between.
/// Errors of all: not_found, denied (says which part), invalid (the name), unavailable (I/O).
class Folder {
public:
    /// `path` is absolute; no part of it may be a symbolic link.
    static Result<Folder> open(const std::string& path);

    Result<Folder> folder(std::string_view name) const;
    Result<FolderEntry> look(std::string_view name) const;                    ///< of a link: the link itself
    Result<std::vector<FolderEntry>> list(std::size_t max_entries) const;     ///< sorted by name. Errors also: too_large

    /// A regular file, nothing else. Errors also: invalid (not a regular file).
    Result<Handle> open_file(std::string_view name) const;
    Result<std::string> read(std::string_view name, std::size_t max_bytes) const;  ///< Errors also: too_large
    /// Returns the file's size afterwards. Errors also: conflict (create: it exists; append: it has several names).
    Result<std::uint64_t> write(std::string_view name, std::string_view bytes, WriteMode mode) const;
    Result<std::unique_ptr<NewFile>> new_file(std::string_view name) const;
    Status make_folder(std::string_view name) const;                          ///< with its parents; fine when it is there

private:
    explicit Folder(Handle handle) : handle_(std::move(handle)) {}
    Result<Folder> parent(std::string_view name, std::string& last) const;
    Handle handle_;
};

/// From now on nothing in this folder is reached by a Folder, whatever was granted: it holds our own keys. Its real path must be readable
/// in /proc/self/fd; where that cannot be told nothing is opened at all. Thread: before the first Folder. Errors: not_found.
Status keep_out_of(const std::string& folder);

/// At most `max_bytes` from the handle's present place; empty at the end. Errors: unavailable.
Result<std::string> read_some(const Handle& handle, std::size_t max_bytes);

}  // namespace mill::platform
