#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/listing.h"

namespace mill::cli {
namespace {

std::string holders_text(const Json& holders, WallTime now)
{
    std::string out;
    for (const Json& one : holders.as_array()) {
        if (!out.empty()) out += ", ";
        out += fmt::format("{} ({} on {}, {})", one["job"].as_string(), one["trigger"].as_string(), one["agent"].as_string(), show_time(one["since"].as_string(), now));
    }
    return out.empty() ? "free" : out;
}

std::string waiting_text(const Json& waiting, WallTime now)
{
    std::string out;
    for (const Json& one : waiting.as_array()) {
        if (!out.empty()) out += ", ";
        out += fmt::format("{} of {}", one["jobs"].as_integer(), one["trigger"].as_string());
        if (const Json& since = one["since"]; since.is_string()) out += fmt::format(" since {}", show_time(since.as_string(), now));
    }
    return out.empty() ? "-" : out;
}

std::vector<std::string> row(const Json& lock, WallTime now)
{
    return {lock["name"].as_string(), lock["environment"].as_string(), fmt::format("{}/{}", lock["holders"].size(), lock["slots"].as_integer()), holders_text(lock["holders"], now),
            waiting_text(lock["waiting"], now)};
}

Result<int> run(Context& context, const Arguments&)
{
    return show_listing(context, {.path = "/v1/locks", .headings = {"LOCK", "ENVIRONMENT", "HELD", "BY", "WAITING"}, .row = row, .none = "no job holds a lock, and none waits for one"});
}

}  // namespace

Command locks_command()
{
    return {.name = "locks",
            .summary = "Show the locks that jobs hold (locks: of triggers and deployments): who holds them, and who waits",
            .examples = "millwright locks\nmillwright locks --json",
            .options = {},
            .run = run};
}

}  // namespace mill::cli
