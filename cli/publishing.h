// cli/publishing.h -- sends a package to the factory.
#pragma once

#include <string>

#include "cli/command.h"
#include "workflows/package.h"

namespace mill::cli {

struct Published {
    Json package;          ///< as the factory knows it
    bool existed = false;  ///< the same bytes were there
};

/// Errors: conflict (the version is there with other bytes), invalid (findings, one a line), denied.
Result<Published> publish(Api& api, const std::string& bytes);

/// Bytes of a `.mwp`, or packed from a folder. Errors: those of pack and read_file.
Result<std::string> package_bytes(const std::string& path);

}  // namespace mill::cli
