// cli/test_from_job.h -- `millwright test --from JOB`: a test that replays what a finished job got and came to.
#pragma once

#include <string>

#include "cli/command.h"

namespace mill::cli {

/// Writes the test to `output`, or to standard output when it is empty. Errors: not_found, conflict (the job has not ended).
Result<int> make_test_from_job(Context& context, const std::string& job, const std::string& output);

/// The test as text. `job` is GET /v1/jobs/UID, `steps` the items of its /steps, `variables` the deployment's (null: not known).
/// Errors: conflict (it did not succeed or fail by itself).
Result<std::string> test_of_job(const Json& job, const Json& steps, const Json& variables);

}  // namespace mill::cli
