// workflows/package_files.h -- the files of a package in a folder, with its dependencies' files put in; private to package*.cpp.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "platform/base/result.h"

namespace mill::workflows {

/// Path within the package → bytes.
using Files = std::map<std::string, std::string>;

/// Where a dependency's files lie within the package that needs it: dependencies/NAME/.
std::string dependency_root(const std::string& name);

/// Errors: not_found, too_large.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t most);

/// Every file but hidden ones and packages; a link is refused, so that nothing from elsewhere gets in unseen. The files of each
/// dependency that package.yaml names are put in, unless they are there: out of dependencies/NAME-VERSION.mwp, or of the folder
/// NAME beside the package. One that is nowhere is left for the loader to say. Errors: not_found, too_large, invalid.
Result<Files> read_package_folder(const std::filesystem::path& folder);

}  // namespace mill::workflows
