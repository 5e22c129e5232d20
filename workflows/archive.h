// workflows/archive.h -- the zip form of a package: deterministic out, distrustful in.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill::workflows {

inline constexpr std::size_t kMostFiles = 10'000;
inline constexpr std::size_t kMostFileBytes = 64UL * 1024 * 1024;
inline constexpr std::size_t kMostPackageBytes = 256UL * 1024 * 1024;
inline constexpr std::size_t kMostManifestBytes = 1024UL * 1024;

/// A path inside a package: relative, '/', no "..", no control characters, not hidden.
bool is_package_path(std::string_view path);

/// The manifest first, then the files by name; times and modes are fixed. Errors: too_large, internal.
Result<std::string> write_archive(const std::string& manifest_json, const std::map<std::string, std::string>& files);

/// All regular files, the manifest under "manifest.json". Errors: corrupt (no zip, links, paths that leave it, a name twice), too_large.
Result<std::map<std::string, std::string>> read_archive(std::string_view bytes);

/// The first entry only. Errors: corrupt (it is not the manifest), too_large.
Result<std::string> read_archive_manifest(std::string_view bytes);

}  // namespace mill::workflows
