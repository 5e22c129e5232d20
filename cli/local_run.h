// cli/local_run.h -- `millwright run`: one package here and now, through the same keeper, broker and runner as a job.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "protocol/permissions.h"
#include "workflows/package.h"

namespace mill::cli {

struct LocalRun {
    enum class Granting { none, file, asked, all };
    std::string path, workflow = "main";
    std::string input_file, output_file, events_file, secrets_file, variables_file, grant_file;
    Granting granting = Granting::none;
    bool trace = false, step = false, dry_run = false;
};

/// The exit status: 0 completed, 1 faulted, 2 cancelled, 65, 70, 77. Errors: before anything ran.
Result<int> run_locally(Context& context, const LocalRun& run);

/// What the person granted by options, without a look at what is asked. Errors: of the grant file.
Result<protocol::Permissions> given_grants(Context& context, LocalRun::Granting granting, const std::string& grant_file, const protocol::Permissions& asked);
/// The same when it covers what is asked; a person at a terminal who gave no option is asked. Errors: denied, with the lines that would allow it.
Result<protocol::Permissions> decide_grants(Context& context, const LocalRun& run, const std::string& name, const protocol::Permissions& asked);
/// The options of `--grant…`; say so when there are two. Errors: invalid.
Result<LocalRun::Granting> granting_of(const Arguments& arguments);

/// What `--grant-all` grants beyond what is asked: all network, node, python3 and sh, and `folder` to read and write.
protocol::Permissions everything(const protocol::Permissions& asked, const std::string& folder);
/// The YAML that would allow `items` (as protocol::missing says them), in package.yaml or a grant file.
std::string permission_lines(const std::vector<std::string>& items);

}  // namespace mill::cli
