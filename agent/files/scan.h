// agent/files/scan.h -- one look at a folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/result.h"

namespace mill::agent {

struct SeenFile {
    std::string path;
    std::uint64_t inode = 0, size = 0;
    WallTime modified;
    /// What makes it this file: written anew, or another one of that name, it has another.
    std::string identity() const;
};

constexpr std::size_t kMostInFolder = 100'000;

/// Regular files of `folder` whose names fit `pattern` ('*', '?'), in order. '*' and '?' at the beginning leave out names that begin with a dot.
/// No part of the folder's path may be a symbolic link. Errors: not_found, denied, too_large (kMostInFolder), unavailable.
Result<std::vector<SeenFile>> scan(const std::string& folder, const std::string& pattern);

/// The path's folder and the pattern of names.
std::pair<std::string, std::string> split_pattern(const std::string& path);

/// One of `roots`, or within one; not with '.' or '..' in it.
bool is_within(const std::string& folder, const std::vector<std::string>& roots);

}  // namespace mill::agent
