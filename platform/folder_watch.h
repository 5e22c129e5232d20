// platform/folder_watch.h -- says when something in a folder of this machine has changed.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "platform/base/result.h"

namespace mill::platform {

/// A hint, never the truth: file systems of other machines tell nothing, and of too much at once the system forgets what it was. Whoever is told
/// looks for himself, and looks now and then all the same. Thread: one; the end of the object ends the watch's own thread.
class FolderWatch {
public:
    virtual ~FolderWatch() = default;
    /// From now on; of one that is watched already it does nothing, and of one that was made anew it begins again.
    /// Errors: not_found, denied, unavailable (the system's limit of watches, or no folder).
    virtual Status add(const std::string& folder) = 0;
    virtual void remove(const std::string& folder) = 0;
};

/// `changed` runs on the watch's thread, with the folder as it was added, or with "" when it may be any of them. Must not block.
/// Errors: unavailable (go without).
Result<std::unique_ptr<FolderWatch>> watch_folders(std::function<void(const std::string& folder)> changed);

}  // namespace mill::platform
