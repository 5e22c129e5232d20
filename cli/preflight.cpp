#include "cli/preflight.h"

#include "cli/listing.h"

#include <fmt/format.h>

namespace mill::cli {

namespace {
constexpr std::size_t kMostAsked = 20;
}

Json preflights(Api& api, const Json& results)
{
    Json out = Json::array();
    for (const Json& result : results.as_array()) {
        if (result["kind"].as_string() != "Deployment" || out.size() >= kMostAsked) continue;
        if (const Result<Json> found = api.get(join_path("/v1/deployments", result["name"].as_string(), "/preflight"), {{"limit", "5"}})) out.push(*found);
    }
    return out;
}

void warn_preflights(Console& console, const Json& results, const Json& preflights)
{
    for (const Json& result : results.as_array())
        for (const Json& warning : result["warnings"].as_array()) console.note(console.paint_error(Style::busy, "warning: ") + one_line(warning.as_string()));
    for (const Json& one : preflights.as_array()) {
        if (one["counts"]["now"].as_integer() > 0 && !one["blocked"].as_bool()) continue;
        const std::string name = one_line(one["deployment"].as_string());
        console.note(console.paint_error(Style::busy, "warning: ") + fmt::format("deployment {}: {} (millwright deployments check {})", name, one_line(one["text"].as_string()), name));
    }
}

void show_preflight(Console& console, const Json& preflight)
{
    console.line(one_line(preflight["text"].as_string()));
    for (const std::string& line : reason_lines(preflight["problems"], preflight["text"])) console.line(line);
    for (const char* what : {"variables", "credentials"}) {
        std::string line;
        for (const auto& [name, value] : preflight["values"][what].as_object())
            line += fmt::format("{}{} = {} ({})", line.empty() ? "" : ", ", name, value["value"].is_string() ? value["value"].as_string() : dump_json(value["value"]), value["from"].as_string());
        if (!line.empty()) console.line(one_line(fmt::format("{}: {}", what, line)));
    }
    std::int64_t shown = 0;
    for (const Json& agent : preflight["agents"].as_array()) {
        const std::string& can = agent["can"].as_string();
        const Style style = can == "now" ? Style::good : can == "later" ? Style::busy : Style::bad;
        console.line(fmt::format("{} {}{}", console.paint(style, fmt::format("{:<6}", one_line(can))), one_line(agent["name"].as_string()),
                                 agent.contains("version") ? " " + one_line(agent["version"].as_string()) : ""));
        if (can != "now")   // what one that could says of itself is that it is free
            for (const std::string& line : reason_lines(agent["reasons"])) console.line(line);
        ++shown;
    }
    const Json& counts = preflight["counts"];
    const std::int64_t all = counts["now"].as_integer() + counts["later"].as_integer() + counts["no"].as_integer();
    if (all > shown) console.note(fmt::format("{} more agents (--limit N; {} now, {} later, {} not)", all - shown, counts["now"].as_integer(), counts["later"].as_integer(), counts["no"].as_integer()));
}

}  // namespace mill::cli
