// cli/publishing.h -- sends a package to the factory.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "workflows/package.h"

namespace mill::cli {

struct Published {
    Json package;          ///< as the factory knows it
    bool existed = false;  ///< the same bytes were there
};

/// Errors: conflict (the version is there with other bytes), invalid (findings, one a line), denied.
Result<Published> publish(Api& api, const std::string& bytes, bool draft = false);

/// A folder, `.mwp` or workflow file. Errors: invalid (whatever is wrong in it: the path itself was looked at before), too_large.
Result<workflows::Package> read_package(const std::string& path);
/// Bytes of a `.mwp`, or packed from a folder. Errors: as read_package.
Result<std::string> package_bytes(const std::string& path, std::string_view version = {});
/// What stands in a package in clear text though it looks like a secret, one line each and never its value: said whenever a package leaves its author.
std::vector<std::string> secret_warnings(const std::string& path);
Result<workflows::Manifest> manifest_in(const std::string& bytes);

}  // namespace mill::cli
