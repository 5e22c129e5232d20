// cli/resources.h -- resources as files: YAML documents in, differences out (design.md 8).
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace mill::cli {

struct ResourceDocument {
    std::string file;
    int line = 1;   ///< of the document's first key
    Json document;
};

/// Reads files and folders (every .yaml and .yml below, sorted). Each document needs `kind` and `name`; `status` is dropped.
/// Errors: invalid (all mistakes, one a line; a file in a folder that cannot be read).
Result<std::vector<ResourceDocument>> read_resources(const std::vector<std::string>& paths, std::stop_token stop = {});

/// "deployment", "Deployments" → "deployments", the path under /v1; also packages, agents, jobs, credentials.
/// Errors: invalid (lists what there is).
Result<std::string> plural_of_kind(std::string_view kind);

/// Sends them as one change: all or nothing. The answer's "results". Errors: those of the factory, each with its file and line.
/// `force`: also to a version that was rolled back. `source`: whose they are; `prune`: what that source has besides goes.
Result<Json> apply_resources(Api& api, const std::vector<ResourceDocument>& documents, bool dry_run, bool accept, bool force, const std::string& source = {}, bool prune = false);
/// "created Trigger order-status-api", and each difference below it.
void show_results(Console& console, const Json& results, bool dry_run);

}  // namespace mill::cli
