#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/jobs.h"

namespace mill::cli {

namespace {

void field(Console& console, std::string_view name, std::string_view value)
{
    if (!value.empty()) console.line(fmt::format("{:<13}{}", name, value));
}

void value(Console& console, std::string_view name, const Json& json)
{
    if (json.is_null() || (json.is_object() && json.empty())) return;
    console.line(fmt::format("{}:", name));
    console.line(printable(dump_json(json, 2)));
}

Result<int> run(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<std::string> uid = resolve_job(**api, arguments.text("JOB"));
    if (!uid) return fail(uid.error());
    const Result<Json> found = (*api)->get(join_path("/v1/jobs", *uid));
    if (!found) return fail(found.error());
    Console& console = context.console;
    const Json& job = *found;
    if (console.json()) {
        console.document(job);
        return kDone;
    }
    const WallTime now = system_clock().now();
    const auto text = [&](const char* member) { return one_line(job[member].as_string()); };
    field(console, "job", one_line(uid_of(job)));
    field(console, "state", state_text(console, job));
    field(console, "waits for", text("waitingFor"));
    field(console, "trigger", text("trigger"));
    field(console, "deployment", text("deployment"));
    field(console, "environment", text("environment"));
    const Json& package = job["package"];
    field(console, "package", fmt::format("{}@{} {}", package["name"].as_string(), package["version"].as_string(),
                                          console.paint(Style::dim, package["digest"].as_string())));
    field(console, "workflow", text("workflow"));
    if (!text("agent").empty()) field(console, "agent", fmt::format("{} (attempt {})", text("agent"), job["attempt"].as_integer()));
    for (const auto& [name, member] : {std::pair{"created", "createdAt"}, {"assigned", "assignedAt"}, {"started", "startedAt"}, {"ended", "endedAt"}, {"expires", "expiresAt"}})
        if (job.contains(member) && !job[member].is_null()) field(console, name, show_time(job[member].as_string(), now, true));
    field(console, "retry of", text("retryOf"));
    if (job["cancel"].is_object())
        field(console, "cancelled", one_line(fmt::format("by {}{}{}", job["cancel"]["by"].as_string(), job["cancel"]["why"].as_string().empty() ? "" : ": ",
                                                        job["cancel"]["why"].as_string())));
    if (job["error"].is_object()) field(console, "error", console.paint(Style::bad, error_text(job["error"])));
    // Beside the job's state: it may have ended well and nobody was told.
    if (const Result<Json> told = (*api)->get("/v1/deliveries", {{"job", *uid}, {"limit", "20"}}); told)
        for (const Json& delivery : items(*told)) {
            const std::string& state = delivery["state"].as_string();
            const Style style = state == "delivered" ? Style::good : state == "dead" ? Style::bad : Style::busy;
            field(console, "delivery", fmt::format("{} {} on {}{}", console.paint(style, one_line(state)), one_line(delivery["notifier"].as_string()), one_line(delivery["on"].as_string()),
                                                   state == "delivered" || delivery["error"].as_string().empty() ? "" : ": " + one_line(delivery["error"].as_string())));
        }
    value(console, "invocationContext", job["invocationContext"]);
    value(console, "input", job["input"]);
    value(console, "output", job["output"]);
    value(console, "evidence", job["evidence"]);
    return kDone;
}

}  // namespace

Command show_command()
{
    return {.name = "show",
            .summary = "Show one job: state, times, input, output, error",
            .examples = "millwright show last\nmillwright show 01930c5e-7a44-7c11-9a52-0c7f2a3b4c5d --json",
            .options = {{"JOB", "", "The job's uid, its beginning or end, or `last`", true}},
            .run = run};
}

}  // namespace mill::cli
