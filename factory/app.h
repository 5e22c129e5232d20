// factory/app.h -- the composition root: builds every part in order, runs until stopped, takes all down in reverse.
#pragma once

#include "factory/config.h"
#include "platform/service_host.h"

namespace mill::factory {

/// Prints "listening on URL" on stdout when ready. Blocks until `host` is asked to stop.
/// Errors: conflict and unavailable (folder or address in use: try again), invalid and denied (configuration), corrupt (the store).
Status run_factory(const Config& config, platform::ServiceHost& host);

}  // namespace mill::factory
