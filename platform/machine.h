// platform/machine.h -- what this machine is and how busy it is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/base/json.h"

namespace mill::platform {

std::string host_name();
std::int64_t process_number();
std::int64_t parent_process_number();
bool process_is_there(std::int64_t number);   ///< also when it is another user's
bool is_this_user_or_root(std::uint32_t uid);
/// Facts of an agent, found by looking: {os:{name,version,kernel,arch}, cpus, memory (bytes), programs:{python3:"3.11.2",…},
/// isolation:{…}, screen}. Takes up to a second.
Json find_facts();
struct DiskSpace {
    std::uint64_t total = 0, free = 0;   ///< bytes; free: for ordinary users
};
/// Of the file system that holds `path`. Blocks as long as that does. Errors: unavailable.
Result<DiskSpace> disk_space(const std::string& path);

/// The result of the effect `system.usage` (protocol/README.md). Errors: invalid (a disk path that is none).
Result<Json> system_usage(const std::vector<std::string>& disks);

}  // namespace mill::platform
