// workflows/test_file.h -- tests of a package, as tests/*.yaml says them (docs/testing.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "workflows/package.h"

namespace mill::workflows {

struct ExpectedCall {
    std::string call, task;    ///< one of them, or both
    std::optional<Json> with;  ///< arguments, partial
};

struct Expectation {
    std::optional<Json> output;           ///< exactly
    std::optional<Json> output_contains;  ///< partial
    std::optional<Json> error;            ///< members of the error; `title` and `detail` are pieces of it
    std::vector<std::string> checks;      ///< jq on the output, with $error, $calls and $input; each must be true
    std::optional<std::vector<ExpectedCall>> calls;  ///< all of them, in this order
};

struct TestCase {
    std::string name, workflow = "main";
    Mark mark;
    Json input = Json::object(), variables = Json::object(), secrets = Json::object();
    Json rehearsal = Json::object();      ///< standIns, real, now, checks: what the runner needs (protocol/README.md)
    Expectation expect;
};

struct TestFile {
    std::string file;
    std::vector<TestCase> cases;
    std::vector<Finding> findings;        ///< all are errors
};

/// Never fails: what is wrong becomes findings with FILE:LINE:COLUMN; a file with findings is not to be run.
TestFile read_test_file(std::string_view text, const std::string& file);

}  // namespace mill::workflows
