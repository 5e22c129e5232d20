// agent/self/disk_room.h -- no new jobs before the disk is full: a report that cannot be written would be lost.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "agent/config.h"
#include "agent/desk.h"
#include "platform/machine.h"

namespace mill::agent {

struct Room {
    platform::DiskSpace disk;
    unsigned held = 0;              ///< attempts that have an end to report
    std::uint64_t journals = 0;     ///< bytes of reports that wait
};

/// Why no new job should be taken, with what was found and what is asked for; empty: there is room. Kept free are `quotas.keepFree` (of a small disk at
/// most a sixteenth) and room for the end of each attempt that is held and of one more. `was_short`: then a quarter more is asked for, so that
/// the answer does not change with every file.
std::string short_of_room(const Room& room, const Config& config, const std::string& folder, bool was_short);

/// Thread: its own, since a disk that hangs holds up who asks it. Looks every five seconds.
void watch_room(const std::string& folder, const Config& config, const std::function<std::uint64_t()>& journals, Slots& slots, const Clock& clock, std::stop_token stop);

}  // namespace mill::agent
