// factory/backup.h -- a copy of all that a factory has, and a data folder made of it.
#pragma once

#include <string>

#include "platform/base/clock.h"
#include "platform/base/result.h"

namespace mill::factory {

struct BackupReport {
    WallTime time;             ///< everything that was committed before is in it
    std::size_t files = 0;
    std::uint64_t bytes = 0;
};

/// Writes the new folder `to` (0700): the database, packages, long values and logs, factory-key, admin-token, and manifest.json with the SHA-256 of each, written
/// last. Never the vault's key. The factory of `data` may run. Blocks: for the disk.
/// Errors: not_found (no factory's folder), conflict (`to` is there), denied, unavailable.
Result<BackupReport> make_backup(const std::string& data, const std::string& to, Clock& clock);

/// Checks every file of the backup `from` first, then fills `data` (absent, or empty) and marks the store as an older one.
/// Errors: invalid (no backup), corrupt (a file differs from the manifest), conflict (`data` is not empty, or in use), denied, unavailable.
Result<BackupReport> restore_backup(const std::string& from, const std::string& data, Clock& clock);

}  // namespace mill::factory
