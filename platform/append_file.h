// platform/append_file.h -- a file that grows at its end and says when its bytes are safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/result.h"
#include "platform/channel.h"

namespace mill::platform {

/// Thread: one writes; `read` and `sync` may run beside it.
class AppendFile {
public:
    /// Opens, or makes it with `mode`. Errors: denied, unavailable (I/O).
    static Result<AppendFile> open(const std::string& path, unsigned mode = 0600);

    std::uint64_t size() const { return size_; }
    /// All of `bytes` or nothing of it. Errors: unavailable (disk full, I/O).
    Status append(std::string_view bytes);
    /// Exactly `bytes` bytes. Errors: corrupt (the file is shorter), unavailable.
    Result<std::string> read(std::uint64_t offset, std::size_t bytes) const;
    /// Returns when what was appended survives a loss of power (fdatasync). Errors: unavailable.
    Status sync() const;
    Status truncate(std::uint64_t size);

private:
    AppendFile(Handle handle, std::uint64_t size) : handle_(std::move(handle)), size_(size) {}
    Handle handle_;
    std::uint64_t size_ = 0;
};

/// Puts the (synced) file `from` in the place of `to`, and syncs the folder. Errors: denied, unavailable.
Status replace_file(const std::string& from, const std::string& to);

/// Becomes another program: same process, same environment. Returns only with an Error (not_found, denied).
Status become_program(const std::string& program, const std::vector<std::string>& arguments);

}  // namespace mill::platform
