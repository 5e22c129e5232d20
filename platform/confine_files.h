// platform/confine_files.h -- narrows which files and ports a thread may still reach (Linux: Landlock, kernel 5.13 and later).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/result.h"

namespace mill::platform {

/// A folder stands for all that is below it; a path that is not there is passed over. Whoever may not reach a file by its user, mode or
/// mount does not get it by this.
struct FileAccess {
    std::vector<std::string> read;
    std::vector<std::string> start;   ///< read, and executed
    std::vector<std::string> write;   ///< read, changed, made and removed
    /// TCP: these ports may be connected to and none listened at. Nothing: TCP stays as it is.
    std::optional<std::vector<std::uint16_t>> ports;
    bool apart = false;               ///< no signal to, and no abstract local socket of, a process that is not confined by this or later
};

/// How much of it the running kernel knows: Landlock's ABI, 0 for nothing. 1 files, 2 moves between folders, 3 cutting a file, 4 TCP, 6 `apart`.
int can_confine_files();

/// For this thread, and for threads and programs that it starts from now on. Cannot be undone; a second call narrows further. What is
/// open stays usable. Where the kernel knows less, the rest is left as it was, which is what can_confine_files() is for: this is a second
/// line, behind mounts, users and the broker's verdicts. Blocks: some 40 µs. Errors: unavailable (the kernel knows it and refuses).
Status confine_files(const FileAccess& access);

}  // namespace mill::platform
