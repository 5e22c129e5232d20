// cli/test_verdict.h -- did the run come out as the test expects? Pure: a case, and what the run said, to a list of problems.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "platform/base/json.h"
#include "workflows/test_file.h"

namespace mill::cli {

struct TestProblem {
    std::string path;                      ///< "output /reply", "call 2 with /uri", "error status", "check 1"; empty when `text` says it all
    std::string text;
    std::optional<Json> expected, actual;  ///< of a difference; nothing: not there
};
Json to_json(const TestProblem& problem);

/// `ended` and `rehearsed` as `millwright-agent once` said them; `rehearsed` is null when the run never got so far.
/// No problem: passed.
std::vector<TestProblem> judge(const workflows::TestCase& test, const Json& ended, const Json& rehearsed);

}  // namespace mill::cli
