// factory/store/copy.h -- a copy of the database as it is at one moment.
#pragma once

#include <string>

#include "platform/base/result.h"

namespace mill::factory {

/// Copies DIR/factory.db to `file` (made 0600; must not be there). A factory may run with it meanwhile, and goes on.
/// Blocks: for the disk. Errors: not_found (no database there), conflict (`file` is there), unavailable (disk full, I/O), corrupt.
Status copy_database(const std::string& folder, const std::string& file);

}  // namespace mill::factory
