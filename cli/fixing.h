// cli/fixing.h -- `check --fix`: writes what a package lacks into its files and shows each change.
#pragma once

#include "cli/console.h"
#include "workflows/check/check.h"

namespace mill::cli {

/// Puts the remedies into the files of the package at `path` (folder or workflow file) and shows the changed lines; what cannot
/// be written (an archive, a file that is read-only) is shown all the same, with the reason. Gives what was done, for --json,
/// and sets `written` when a file has changed.
Json fix(Console& console, const std::string& path, const std::vector<workflows::Remedy>& remedies, bool& written);

}  // namespace mill::cli
