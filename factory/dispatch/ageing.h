// factory/dispatch/ageing.h -- how a waiting job's priority rises with time: one step each period. Pure.
#pragma once

#include <cstdint>

#include "platform/base/clock.h"

namespace mill::factory::dispatch {

/// A job's place among all that wait: the smaller goes first. Fixed when it arrives, so nothing is ever sorted anew: of two jobs the one whose
/// aged priority is higher now is so for ever.
using Turn = std::int64_t;

constexpr int kUrgent = 90;   ///< very-high: goes before everything below it, however long that waits

/// `ageing`: the period of a step; 0: priorities do not age, and age only decides among equal ones.
Turn turn_of(int priority, WallTime arrived, Milliseconds ageing);

/// What the priority counts as by now.
int aged_priority(int priority, Milliseconds waited, Milliseconds ageing);

}  // namespace mill::factory::dispatch
