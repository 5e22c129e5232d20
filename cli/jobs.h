// cli/jobs.h -- what several commands do with jobs.
#pragma once

#include <string>

#include "cli/command.h"

namespace mill::cli {

/// The uid that `text` means: a uid, `last`, or the beginning or end (4 characters and more) of one of the latest jobs.
/// Errors: not_found, invalid (several fit).
Result<std::string> resolve_job(Api& api, const std::string& text);
bool is_final_state(std::string_view state);
/// Of an answer that names a job: `jobUid` (a run) or `uid` (the job).
const std::string& uid_of(const Json& job);
/// "failed (agent_lost)"
std::string state_text(const Console& console, const Json& job);
/// The error object of a job in one line: "type: title: detail at /do/0/x".
std::string error_text(const Json& error);
/// `last segment` of an error type's URI: "communication".
std::string short_type(std::string_view type);
/// All step records of a job, page by page, as one array.
Result<Json> all_steps(Api& api, const std::string& uid);
/// Shows how a job ended: its output, or its error; both as JSON when asked. Returns the exit status.
int show_ending(Console& console, const Json& job);

}  // namespace mill::cli
