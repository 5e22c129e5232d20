// cli/preflight.h -- whether deployments could run, as `apply`, `deploy` and `deployments check` show it.
#pragma once

#include "cli/command.h"

namespace mill::cli {

/// Of each Deployment in `results` (of an apply), at most twenty. A factory of an earlier version knows no preflight: then there is none.
Json preflights(Api& api, const Json& results);
/// To standard error: those that nobody can run now, and the warnings in `results`.
void warn_preflights(Console& console, const Json& results, const Json& preflights);
/// Summary, problems, and a line for each agent.
void show_preflight(Console& console, const Json& preflight);

}  // namespace mill::cli
