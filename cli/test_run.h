// cli/test_run.h -- `millwright test`: finds a package's tests, runs each case in the sandbox, judges it.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/local_run.h"
#include "cli/test_report.h"

namespace mill::cli {

struct TestRun {
    std::vector<std::string> paths;   ///< package folders, or test files in their tests/
    std::string only;                 ///< part of "FILE: NAME", or a pattern with * and ?
    std::string junit_file;
    LocalRun::Granting granting = LocalRun::Granting::none;
    std::string grant_file;           ///< for calls that are `real`
};

/// 0 all passed, 1 one failed, 65 a test file or package is invalid (all are read before one is run). Errors: no sandbox, own failure.
Result<int> run_tests(Context& context, const TestRun& run);

/// Findings in the tests of the package folder `path`; none when it has none.
std::vector<workflows::Finding> test_findings(const std::string& path);

}  // namespace mill::cli
