#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/jobs.h"

namespace mill::cli {

namespace {

constexpr std::size_t kPage = 1000;

int rank(std::string_view level) { return level == "error" ? 3 : level == "warning" ? 2 : level == "info" ? 1 : 0; }

void show(Console& console, const Json& entry, WallTime now)
{
    if (entry.contains("gap")) {
        console.line(console.paint(Style::busy, fmt::format("… {} records over the quota were not kept", entry["gap"].as_integer())));
        return;
    }
    const std::string& level = entry["level"].as_string();
    const Style style = rank(level) == 3 ? Style::bad : rank(level) == 2 ? Style::busy : rank(level) == 0 ? Style::dim : Style::plain;
    console.line(fmt::format("{} {} {}", console.paint(Style::dim, show_time(entry["time"].as_string(), now, true)),
                             console.paint(style, fmt::format("{:<7}", level)), printable(entry["text"].as_string())));
}

Result<int> run(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    if (arguments.text("JOB").starts_with("agent/"))
        return fail(Errc::invalid, "logs of agents are not collected by this version: read them on the machine (journalctl -u millwright-agent)");
    const Result<std::string> uid = resolve_job(**api, arguments.text("JOB"));
    if (!uid) return fail(uid.error());
    const bool follow = arguments.has("--follow");
    const std::string level = arguments.text("--level", "debug");
    if (level != "debug" && rank(level) == 0) return fail(Errc::invalid, fmt::format("--level '{}' must be debug, info, warning or error", level));
    std::string after;
    Console& console = context.console;
    const std::string path = join_path("/v1/jobs", *uid, "/log");
    for (bool more = true; more;) {
        Call call{.path = path, .query = {{"after", after}, {"limit", fmt::format("{}", kPage)}, {"wait", follow ? "25" : ""}}};
        call.timeout = std::chrono::seconds(60);
        const Result<Json> page = (*api)->send(call);
        if (!page) {
            if (context.stop.stop_requested()) return kDone;
            return fail(page.error());
        }
        const WallTime now = system_clock().now();
        for (const Json& entry : items(*page)) {
            if (!entry.contains("gap") && rank(entry["level"].as_string()) < rank(level)) continue;
            if (console.json()) console.record(entry);
            else show(console, entry, now);
        }
        console.flush();
        const Json& next = (*page)["next"];
        const std::string cursor = next.is_string() ? next.as_string() : next.is_number() ? dump_json(next) : after;
        const bool progress = cursor != after && !items(*page).empty();
        if (!cursor.empty()) after = cursor;
        more = follow ? progress || !(*page)["ended"].as_bool() : progress && items(*page).size() >= kPage;
    }
    return kDone;
}

}  // namespace

Command logs_command()
{
    return {.name = "logs",
            .summary = "Show what a job logged; -f follows it to the job's end",
            .examples = "millwright logs last\nmillwright logs last -f --level warning",
            .options = {{"JOB", "", "The job's uid, its beginning or end, or `last`", true},
                        {"-f,--follow", "", "Wait for more until the job has ended"},
                        {"--level", "LEVEL", "Least level: debug, info, warning, error"}},
            .run = run};
}

}  // namespace mill::cli
