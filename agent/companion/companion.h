// agent/companion/companion.h -- the program: the session's bus and display, the agent's socket, the page, and the loop over them.
#pragma once

#include "agent/companion/options.h"

namespace mill::companion {

/// Blocks until the session ends or a signal says so. The exit status.
int run_companion(const Options& options);

}  // namespace mill::companion
