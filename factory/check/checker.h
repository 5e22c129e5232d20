// factory/check/checker.h -- opens packages and runs their regular expressions, somewhere else than in this process.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"
#include "workflows/manifest.h"

namespace mill::factory {

/// What a package is, and what is wrong with it.
struct CheckedPackage {
    struct Finding {
        bool error = true;   ///< else a warning
        std::string text;    ///< "FILE:LINE:COLUMN: message"
    };
    bool valid = false;      ///< else only the findings mean anything
    std::vector<Finding> findings;
    workflows::Manifest manifest;
    Json inputs;             ///< {WORKFLOW: input.schema document, or null when it has none}
};

/// Thread: any. The functions given are called once each, on a thread of the checker, which they may block for a moment only.
/// Errors they get: unavailable (this machine cannot check: says what is missing and how to mend it), cancelled (it stops), not_found
/// (no such file); any other is the doing of what was checked: corrupt (no package; the check crashed or said nonsense), too_large
/// (also: memory), timeout.
class PackageChecker {
public:
    virtual ~PackageChecker() = default;   ///< ends what runs; what waits is told `cancelled`

    using PackageDone = std::function<void(Result<CheckedPackage>)>;
    using InputDone = std::function<void(Result<std::vector<std::string>>)>;   ///< all mistakes, "POINTER: what"; none: it fits

    /// `bytes` stay as they are until `done` was called (which may own them). False when too much waits already.
    virtual bool check_package(std::string_view bytes, PackageDone done) = 0;
    virtual bool check_package_file(std::string path, PackageDone done) = 0;
    /// Packages and inputs do not wait for each other.
    virtual bool check_input(Json schema, Json value, InputDone done) = 0;

    /// Why this machine can check nothing, as far as known; empty when it can.
    virtual std::string problem() const = 0;
};

}  // namespace mill::factory
