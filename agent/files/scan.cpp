#include "agent/files/scan.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/text.h"
#include "platform/folder.h"

namespace mill::agent {

namespace {

/// Overlays and file systems in user space use all 64 bits; JSON has exact integers of 63, on the disk here and at the factory.
std::uint64_t kept_inode(std::uint64_t inode) { return inode & INT64_MAX; }

}  // namespace

std::string SeenFile::identity() const { return fmt::format("{}|{}|{}|{}", inode, size, modified.microseconds, path); }

std::pair<std::string, std::string> split_pattern(const std::string& path)
{
    const std::size_t last = path.rfind('/');
    if (last == std::string::npos) return {"", path};
    return {last == 0 ? "/" : path.substr(0, last), path.substr(last + 1)};
}

bool is_within(const std::string& folder, const std::vector<std::string>& roots)
{
    const std::string parts = folder + "/";   // where a path leads is read off its text
    if (parts.find("/../") != std::string::npos || parts.find("/./") != std::string::npos) return false;
    return std::any_of(roots.begin(), roots.end(), [&](std::string root) {
        while (root.size() > 1 && root.ends_with('/')) root.pop_back();
        return root == "/" || folder == root || folder.starts_with(root + "/");
    });
}

Result<std::vector<SeenFile>> scan(const std::string& folder, const std::string& pattern)
{
    auto opened = platform::Folder::open(folder);
    if (!opened && opened.error().code == Errc::not_found) return fail(Errc::not_found, fmt::format("{} does not exist", folder));
    if (!opened) return fail(std::move(opened.error()));
    auto entries = opened->list(kMostInFolder);
    if (!entries && entries.error().code == Errc::too_large)
        return fail(Errc::too_large, fmt::format("{} has more than {} files: move those that are done elsewhere", folder, kMostInFolder));
    if (!entries) return fail(folder, std::move(entries.error()));
    const bool hidden = pattern.starts_with('.');
    std::vector<SeenFile> out;
    for (const platform::FolderEntry& entry : *entries) {
        if (entry.type != platform::FolderEntry::Type::file || (!hidden && entry.name.starts_with('.')) || !matches_pattern(pattern, entry.name)) continue;
        out.push_back({(folder == "/" ? "" : folder) + "/" + entry.name, kept_inode(entry.inode), entry.size, entry.modified});
    }
    return out;
}

}  // namespace mill::agent
