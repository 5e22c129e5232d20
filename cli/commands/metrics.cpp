#include <fmt/format.h>

#include "cli/commands/commands.h"
#include "cli/listing.h"

namespace mill::cli {

namespace {

std::string number_text(const Json& value, const std::string& unit)
{
    std::string text = value.is_number() ? fmt::format("{:.6g}", value.as_number()) : "";
    if (!text.empty() && !unit.empty() && unit.front() != '{') text += " " + unit;
    return printable(text);
}

std::vector<std::string> row(const Json& item, WallTime now)
{
    const bool published = item["source"].as_string() == "published";
    return {item["name"].as_string(), item["unit"].as_string(), joined(item["dimensions"]), published ? number_text(item["last"], item["unit"].as_string()) : "",
            published ? show_age(item["lastAt"].as_string(), now) : item["text"].as_string()};
}

std::string dimensions_text(const Json& dimensions)
{
    std::string out;
    for (const auto& [key, value] : dimensions.as_object()) out += fmt::format("{}{}={}", out.empty() ? "" : " ", key, value.as_string());
    return one_line(out);
}

Result<int> run(Context& context, const Arguments& arguments)
{
    if (!arguments.has("NAME"))
        return show_listing(context, {.path = "/v1/metrics", .headings = {"METRIC", "UNIT", "DIMENSIONS", "LAST", "WHEN"}, .row = row, .none = "no metrics"});
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Pairs query;
    for (const char* key : {"since", "until", "step", "aggregation", "by"})
        if (const std::string value = arguments.text(fmt::format("--{}", key)); !value.empty()) query.emplace_back(key, value);
    const Result<Json> found = (*api)->get(join_path("/v1/metrics", arguments.text("NAME")), query);
    if (!found) return fail(found.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*found);
        return kDone;
    }
    Table table({"TIME", "SERIES", "VALUE"});
    table.align_right(2);
    for (const Json& series : (*found)["series"].as_array())
        for (const Json& point : series["points"].as_array())
            table.add({point["time"].as_string(), dimensions_text(series["dimensions"]), number_text(point["value"], (*found)["unit"].as_string())});
    if (table.empty()) console.note(fmt::format("{}: nothing since {}", one_line((*found)["name"].as_string()), (*found)["since"].as_string()));
    else table.show(console);
    return kDone;
}

std::string rule_text(const Json& rule)
{
    std::string out = rule["age"].as_string();
    if (const std::int64_t most = rule["count"].as_integer(); most > 0) out += fmt::format(", at most {}", most);
    return out;
}

Result<int> show_retention(Context& context, const Arguments&)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    const Result<Json> found = (*api)->get("/v1/retention");
    if (!found) return fail(found.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*found);
        return kDone;
    }
    Table table({"WHAT", "KEPT", "DUE", "REMOVED SO FAR"});
    for (const char* kind : {"jobs", "logs", "deliveries", "audit", "events", "metrics"}) {
        const Json& due = (*found)["due"][kind];
        const bool more = due.as_integer() >= (*found)["dueCountedUpTo"].as_integer();
        table.add({kind, rule_text((*found)["rules"][kind]), due.is_number() ? fmt::format("{}{}", more ? "at least " : "", due.as_integer()) : "",
                   std::to_string((*found)["removed"][kind].as_integer())});
    }
    table.show(console);
    const Json& last = (*found)["last"];
    if ((*found)["running"].as_bool()) console.note("a run goes on");
    if (last.is_null()) {
        console.note("it has not run yet");
        return kDone;
    }
    std::string removed;
    for (const auto& [kind, count] : last["removed"].as_object()) removed += fmt::format("{}{} {}", removed.empty() ? "" : ", ", count.as_integer(), kind);
    console.note(fmt::format("last run {}: {}", show_time(last["endedAt"].as_string(), system_clock().now()), removed.empty() ? "nothing was old enough" : one_line(removed)));
    return kDone;
}

}  // namespace

Command metrics_command()
{
    return {.name = "metrics",
            .summary = "List figures of the factory and those that others published, or show one by time",
            .examples = "millwright metrics\nmillwright metrics millwright.jobs.ended --since 7d --step 1d --by trigger,state\nmillwright metrics millwright.jobs.run_time --by trigger --aggregation max\nmillwright metrics invoices.open --json",
            .options = {{"NAME", "", "Its series; none: all names"},
                        {"--since", "WHEN", "From then: a time, or a span ago such as 24h (what holds when not said)"},
                        {"--until", "WHEN", "Up to then; now when not said"},
                        {"--step", "SPAN", "One value for each of these, such as 5m; 1h when not said"},
                        {"--by", "NAMES", "Dimensions that tell series apart, with commas; none: all in one"},
                        {"--aggregation", "HOW", "avg, sum, count, min, max or last of what falls into a step"}},
            .run = run};
}

Command retention_command()
{
    return {.name = "retention",
            .summary = "Show how long the factory keeps what is over, what goes now, and what went",
            .examples = "millwright retention\nmillwright retention --json",
            .options = {},
            .run = show_retention};
}

}  // namespace mill::cli
