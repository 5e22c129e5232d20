// workflows/plan.h -- what a run may call, read off the documents: each call with its place and the permission that it needs.
#pragma once

#include <string>
#include <vector>

#include "workflows/package.h"

namespace mill::workflows {

/// One permission. `alternatives`: any of them will do (a program itself, or the shell that starts it).
struct Need {
    std::vector<protocol::Permissions> alternatives;
    std::string text;      ///< "network https://tickets.example.com", "commands python3"
    std::string unknown;   ///< not empty: what it needs is known only when it runs, and why
};

struct PlannedCall {
    std::string workflow, file, task, name, call;
    Mark mark;
    std::string what;      ///< "GET https://tickets.example.com/orders/{order}"
    std::vector<Need> needs;
};

/// Everything that can be reached from the workflow's first task, also what a condition may skip, in the order of the documents.
/// Plain texts and `$runtime.metadata.variables.NAME` are known beforehand; other expressions are not evaluated.
std::vector<PlannedCall> plan(const Package& package, const std::string& workflow, const Json& variables);

}  // namespace mill::workflows
