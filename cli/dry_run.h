// cli/dry_run.h -- `millwright run --dry-run`: what would be called, and whether it may.
#pragma once

#include <string>

#include "cli/command.h"
#include "protocol/permissions.h"
#include "workflows/package.h"

namespace mill::cli {

/// Shows it; nothing happens. Returns 0, or 77 when something that is needed, or that package.yaml asks for, is not granted.
int show_plan(Console& console, const workflows::Package& package, const std::string& workflow, const Json& variables,
              const protocol::Permissions& asked, const protocol::Permissions& granted);

}  // namespace mill::cli
