#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/listing.h"
#include "cli/preflight.h"

namespace mill::cli {

namespace {

std::vector<std::string> row(const Json& deployment, WallTime now)
{
    const Json& status = deployment["status"];
    return {deployment["name"].as_string(), deployment["package"].as_string(), deployment["environment"].as_string(), show_age(status["updatedAt"].as_string(), now),
            status["updatedBy"].as_string()};
}

Result<int> list(Context& context, const Arguments&)
{
    return show_listing(context, {.path = "/v1/deployments", .headings = {"DEPLOYMENT", "PACKAGE", "ENVIRONMENT", "CHANGED", "BY"}, .row = row,
                                  .none = "no deployments; `millwright deploy FOLDER` makes one"});
}

Result<int> check(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> found = (*api)->get(join_path("/v1/deployments", arguments.text("NAME"), "/preflight"), {{"limit", arguments.text("--limit")}});
    if (!found) return fail(found.error());
    if (context.console.json()) context.console.document(*found);
    else show_preflight(context.console, *found);
    return (*found)["counts"]["now"].as_integer() > 0 && !(*found)["blocked"].as_bool() ? kDone : kFaulted;
}

std::vector<std::string> move_row(const Json& move, WallTime now)
{
    const std::string jobs = move["rebound"].as_integer() > 0 ? fmt::format("{} waiting jobs went over", move["rebound"].as_integer()) : "";
    const std::string& why = move["why"].as_string();
    return {show_time(move["time"].as_string(), now), move["by"].as_string(), move["what"].as_string(), move["from"].as_string(), move["to"].as_string(),
            why + (why.empty() || jobs.empty() ? "" : "; ") + jobs};
}

Result<int> history(Context& context, const Arguments& arguments)
{
    return show_listing(context, {.path = join_path("/v1/deployments", arguments.text("NAME"), "/history"), .query = {{"limit", arguments.text("--limit")}},
                                  .headings = {"TIME", "BY", "WHAT", "FROM", "TO", "WHY"}, .row = move_row, .none = "nothing is known of its versions"});
}

Result<int> rollback(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object();
    if (arguments.has("--to")) body.set("to", arguments.text("--to"));
    if (arguments.has("--why")) body.set("why", arguments.text("--why"));
    if (arguments.has("--rebind-waiting")) body.set("rebindWaiting", true);
    const Result<Json> moved = (*api)->post(join_path("/v1/deployments", arguments.text("NAME"), "/rollback"), body);
    if (!moved) return fail(moved.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*moved);
        return kDone;
    }
    console.line(one_line(fmt::format("{}: {} → {}", arguments.text("NAME"), (*moved)["from"].as_string(), (*moved)["to"].as_string())));
    if (arguments.has("--rebind-waiting")) console.line(fmt::format("{} waiting jobs went over", (*moved)["rebound"].as_integer()));
    if (const std::int64_t left = (*moved)["left"].as_integer(); left > 0)
        console.note(fmt::format("{} waiting jobs keep their version: their trigger is gone, or starts another deployment", left));
    const Json results = Json::array({Json::object({{"kind", "Deployment"}, {"name", arguments.text("NAME")}, {"warnings", (*moved)["warnings"]}})});
    warn_preflights(console, results, preflights(**api, results));
    return kDone;
}

Result<int> promote(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Json body = Json::object();
    if (arguments.has("--why")) body.set("why", arguments.text("--why"));
    const Result<Json> done = (*api)->post(join_path("/v1/deployments", arguments.text("NAME"), "/promote"), body);
    if (!done) return fail(done.error());
    if (context.console.json()) context.console.document(*done);
    else context.console.line(one_line(fmt::format("{}: all agents have {}", arguments.text("NAME"), (*done)["package"].as_string())));
    return kDone;
}

}  // namespace

Command deployments_command()
{
    return {.name = "deployments",
            .summary = "List deployments; `deployments check`, `history`, `promote` and `rollback` look closer",
            .examples = "millwright deployments",
            .options = {},
            .run = list};
}

Command deployments_check_command()
{
    return {.name = "deployments check",
            .summary = "Say which agents could run a deployment's jobs now, and why the others could not",
            .examples = "millwright deployments check order-status\nmillwright deployments check order-status --limit 100 --json",
            .options = {{"NAME", "", "The deployment", true}, {"--limit", "N", "Name so many agents of each kind (20; at most 1000)"}},
            .run = check,
            .notes = "Exit status 1 when no agent could run one now. What an agent's own policy.yaml says is seen when a job comes."};
}

Command deployments_history_command()
{
    return {.name = "deployments history",
            .summary = "Show the versions that a deployment had: who changed it, when, from what to what, and why",
            .examples = "millwright deployments history order-status",
            .options = {{"NAME", "", "The deployment", true}, {"--limit", "N", "So many lines (100)"}},
            .run = history};
}

Command deployments_promote_command()
{
    return {.name = "deployments promote",
            .summary = "Give a version that a group of agents tries (canary) to all of them now",
            .examples = "millwright deployments promote order-status --why 'looked at it'",
            .options = {{"NAME", "", "The deployment", true}, {"--why", "TEXT", "Kept in the history"}},
            .run = promote,
            .notes = "It happens by itself when the canary's jobs were successful; a failed one brings the version before back."};
}

Command deployments_rollback_command()
{
    return {.name = "deployments rollback",
            .summary = "Go back to the version before, or to any that the deployment had, with the settings that it had then",
            .examples = "millwright deployments rollback order-status --why 'orders twice'\nmillwright deployments rollback order-status --to 1.1.0 --rebind-waiting",
            .options = {{"NAME", "", "The deployment", true},
                        {"--to", "VERSION", "Another one than the version before, also a later one"},
                        {"--rebind-waiting", "", "Jobs that are ready, too; else each keeps the version that it was accepted with"},
                        {"--why", "TEXT", "Kept in the history"}},
            .run = rollback,
            .notes = "An `apply` of the version that was left is refused afterwards, unless it says --force."};
}

}  // namespace mill::cli
