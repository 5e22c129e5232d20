// platform/fitness.h -- whether this machine can run jobs: the looks that both doctors share. Changes nothing.
#pragma once

#include "platform/base/finding.h"
#include "platform/sandbox.h"

namespace mill::platform {

/// Codes `programs`, `sandbox`, `cgroups`, `landlock`, `interpreters`, `screen` and, for root, `users`. `known`: as the keeper of an agent
/// that runs here found it, who knows better than a shell; else it is tried. Takes up to two seconds.
void look_at_machine(Findings& report, const std::optional<Isolation>& known = {});

/// The reverse of to_json(Isolation). Nothing when it is none.
std::optional<Isolation> isolation_of(const Json& json);

}  // namespace mill::platform
