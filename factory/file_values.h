// factory/file_values.h -- files that appear on an agent's machine and start jobs (triggers with `event.file`), as plain values.
#pragma once

#include <cstdint>
#include <string>

#include "platform/base/clock.h"

namespace mill::factory {

/// A file that an agent reports. The same path, number, size and time are the same file: it starts one job, ever.
struct AppearedFile {
    std::string trigger;      ///< name
    std::string path;
    std::uint64_t inode = 0, size = 0;
    WallTime modified;
};

/// Who reports it, and the job that it is.
struct FileSource {
    std::string agent;        ///< name
    std::string user;         ///< whose agent it is; empty: nobody's
    std::string job;          ///< uid
};

/// How it stands with one agent's watch for one trigger.
struct FileStanding {
    std::string trigger;
    std::string agent{};      ///< name; filled in by Core
    bool online = false;
    std::string problem;      ///< "srv-1: /srv/in does not exist"; empty: it watches
    std::optional<WallTime> said{};   ///< nothing: it has not said anything yet
};

}  // namespace mill::factory
