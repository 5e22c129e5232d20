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

/// The agent's own log: the newest lines, and with `follow` what comes.
Result<int> agent_log(Context& context, Api& api, const std::string& name, const std::string& level, bool follow)
{
    Console& console = context.console;
    const std::string path = join_path("/v1/agents", name, "/log");
    std::string after;
    do {
        Call call{.path = path, .query = {{"after", after}, {"limit", fmt::format("{}", kPage)}}};
        const Result<Json> page = api.send(call);
        if (!page) {
            if (context.stop.stop_requested()) return kDone;
            return fail(page.error());
        }
        const WallTime now = system_clock().now();
        for (const Json& line : items(*page)) {
            if (rank(line["level"].as_string()) < rank(level)) continue;
            if (console.json()) console.record(line);
            else show(console, Json(line).set("text", line["room"].as_string() + ": " + line["text"].as_string()), now);
        }
        console.flush();
        if (after.empty() && items(*page).empty() && !follow && !console.json())
            console.line(fmt::format("no line of {} has arrived yet; on its machine: journalctl -u millwright-agent", printable(name)));
        after = (*page)["next"].as_string();
    } while (follow && system_clock().sleep(Milliseconds(1000), context.stop));
    return kDone;
}

Result<int> run(Context& context, const Arguments& arguments)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const bool follow = arguments.has("--follow");
    const std::string level = arguments.text("--level", "debug");
    if (level != "debug" && rank(level) == 0) return fail(Errc::invalid, fmt::format("--level '{}' must be debug, info, warning or error", level));
    const std::string whose = arguments.text("JOB");
    if (whose.starts_with("agent/")) return agent_log(context, **api, whose.substr(6), level, follow);
    const Result<std::string> uid = resolve_job(**api, whose);
    if (!uid) return fail(uid.error());
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
            .summary = "Show what a job logged, or an agent (agent/NAME); -f follows",
            .examples = "millwright logs last\nmillwright logs last -f --level warning\nmillwright logs agent/srv-1",
            .options = {{"JOB", "", "The job's uid, its beginning or end, or `last`; agent/NAME: that agent's own log", true},
                        {"-f,--follow", "", "Wait for more: of a job until it has ended, of an agent until Ctrl-C"},
                        {"--level", "LEVEL", "Least level: debug, info, warning, error"}},
            .run = run};
}

}  // namespace mill::cli
