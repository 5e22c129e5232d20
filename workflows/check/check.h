// workflows/check/check.h -- what can be known of a loaded package without running it.
#pragma once

#include <string>
#include <vector>

#include "workflows/package.h"

namespace mill::workflows {

/// What is missing in a YAML file of the package: `item` in the list at `path` ({permissions, network}), or as `member` of the
/// object there.
struct Remedy {
    std::string file;
    std::vector<std::string> path;
    std::string member;
    Json item;
    friend bool operator==(const Remedy& a, const Remedy& b) { return a.file == b.file && a.path == b.path && a.member == b.member && a.item == b.item; }
};

struct Checked {
    std::vector<Finding> findings;  ///< those that loading does not make, in the order of their places
    std::vector<Remedy> remedies;   ///< each once
};

/// Looks at all documents; one with errors is looked at as far as it was read. Costs no evaluation of an expression.
Checked check(const Package& package);

/// Adds what `check` finds to `package.findings`, in the order of places.
void check_into(Package& package);

}  // namespace mill::workflows
