// platform/privileges.h -- what a process that was started as root keeps of root's power (Linux: capabilities).
#pragma once

#include <string>

#include "platform/base/result.h"

namespace mill::platform {

/// For a parent of programs that run as other users: it may change to their users, signal them, and read, write and give away files.
/// All else (mounting, tracing, the network, the clock, modules, devices) is given up for good, for its children, too: a child that stays root
/// has no more. Nothing happens for an ordinary user. Thread: before others are started. Errors: unavailable.
Status keep_starter_privileges();

/// Root that works in a folder of another user becomes that user, for good: what lies there may be links of that user's. Nothing happens for
/// others, or when the folder is root's or is not there. Thread: before others are started. Errors: denied.
Status become_owner_of(const std::string& folder);

}  // namespace mill::platform
