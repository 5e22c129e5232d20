// agent/runner/folder_copy.h -- the job's own folder as a value, when it is small: put away with a run that waits, and put back.
#pragma once

#include <string>

#include "platform/base/json.h"

namespace mill::runner {

inline constexpr std::size_t kMostFolderBytes = 8 * 1024 * 1024, kMostFolderFiles = 1000;

/// [{path, mode, content?}] of all folders and files, content in base64. Errors: too_large; invalid (something that is neither: a link, a socket); unavailable.
Result<Json> copy_folder(const std::string& folder);
/// Into an empty one. Errors: corrupt, unavailable.
Status put_folder(const Json& copy, const std::string& folder);

}  // namespace mill::runner
