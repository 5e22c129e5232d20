// factory/core/restored.h -- marks a store as an older one before a factory runs with it.
#pragma once

#include <set>
#include <string>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/base/result.h"

namespace mill::factory::core {

/// The store in `folder`, which was copied at `known_to`, gets a new epoch: a factory that runs with it starts and delivers nothing until its
/// agents have said again what they did since. Schedules go on from now: what they started since is not known. Durable when it returns.
/// Blocks: for the disk. Errors: those of open_store.
Status mark_restored(const std::string& folder, WallTime known_to, Clock& clock);

/// The setting "hold".
Json hold_text(std::uint64_t epoch, WallTime since, WallTime known_to, const std::string& how, const std::set<std::string>& released);
/// Above `epoch`, and another one for each time that the same copy is restored.
std::uint64_t next_epoch(std::uint64_t epoch, WallTime now);

}  // namespace mill::factory::core
