// cli/listing.h -- lists of the factory's things as tables, and one call for each of several jobs: what commands share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace mill::cli {

struct Listing {
    std::string path;                    ///< "/v1/agents"
    Pairs query{};
    std::vector<std::string> headings;
    std::vector<std::string> (*row)(const Json& item, WallTime now);
    std::string_view none;               ///< what to say and do when there is nothing
    std::string_view more{};             ///< the command that goes on with a cursor: "millwright jobs --cursor"
};

/// Fetches and shows it: a table, or the factory's JSON with --json. The column STATE is painted, SIZE is aligned right.
Result<int> show_listing(Context& context, const Listing& listing);

/// POST /v1/jobs/UID`rest` for each of JOB. One that fails does not keep the others from being tried; the last failure gives the status.
Result<int> for_each_job(Context& context, const Arguments& arguments, std::string_view rest, const Json& body,
                         void (*show)(Console& console, const std::string& uid, const Json& answer));

/// A doctor's findings ([{check, state, text, fix}]), each with what mends it.
void show_findings(Console& console, const Json& findings);

/// What keeps a job from running, one line each, as `why` shows it: the factory's [{code, text, hint}]. Those that say what `said` says are left out.
std::vector<std::string> reason_lines(const Json& reasons, const Json& said = {});

/// The texts of a list: "a, b".
std::string joined(const Json& list);

}  // namespace mill::cli
