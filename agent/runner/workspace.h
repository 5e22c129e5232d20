// agent/runner/workspace.h -- file.read, file.write and file.list with a relative path: in the job's own folder, no broker needed.
#pragma once

#include <string>

#include "agent/runner/commands.h"
#include "platform/base/json.h"

namespace mill::runner {

/// True when the effect is one of them and its path is relative.
bool is_local_file(const std::string& effect, const Json& with);
/// Folders on the way are made when something is written.
Outcome<Json> local_file(const std::string& effect, const Json& with, const std::string& workspace);

}  // namespace mill::runner
