#include "cli/listing.h"

#include <fmt/format.h>

#include "cli/jobs.h"

namespace mill::cli {

Result<int> show_listing(Context& context, const Listing& listing)
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Result<Json> found = (*api)->get(listing.path, listing.query);
    // A page in which nothing matched is no end: the factory looks at a bounded number of rows for each.
    for (Pairs query = listing.query; found && items(*found).empty() && !(*found)["next"].as_string().empty();) {
        std::erase_if(query, [](const auto& each) { return each.first == "cursor"; });
        query.emplace_back("cursor", (*found)["next"].as_string());
        found = (*api)->get(listing.path, query);
    }
    if (!found) return fail(found.error());
    Console& console = context.console;
    if (console.json()) {
        console.document(*found);
        return kDone;
    }
    if (items(*found).empty()) {
        console.note(listing.none);
        return kDone;
    }
    Table table(listing.headings);
    for (std::size_t i = 0; i < listing.headings.size(); ++i) {
        if (listing.headings[i] == "STATE") table.paint_states(i);
        if (listing.headings[i] == "SIZE") table.align_right(i);
    }
    const WallTime now = system_clock().now();
    for (const Json& item : items(*found)) table.add(listing.row(item, now));
    table.show(console);
    if (const std::string& next = (*found)["next"].as_string(); !next.empty() && !listing.more.empty()) console.note(fmt::format("more: {} {}", listing.more, next));
    return kDone;
}

Result<int> for_each_job(Context& context, const Arguments& arguments, std::string_view rest, const Json& body,
                         void (*show)(Console& console, const std::string& uid, const Json& answer))
{
    Result<Api*> api = context.api();
    if (!api) return fail(api.error());
    Console& console = context.console;
    int status = kDone;
    for (const std::string& text : arguments.texts("JOB")) {
        const Result<std::string> uid = resolve_job(**api, text);
        if (!uid) return fail(uid.error());
        const Result<Json> answer = (*api)->post(join_path("/v1/jobs", *uid, rest), body);
        if (!answer) {
            console.error(fmt::format("{}: {}", *uid, answer.error().what));
            status = exit_code(answer.error());
        } else if (console.json()) {
            console.record(*answer);
        } else {
            show(console, *uid, *answer);
        }
    }
    return status;
}

void show_findings(Console& console, const Json& findings)
{
    for (const Json& each : findings.as_array()) {
        const std::string& state = each["state"].as_string();
        const Style style = state == "ok" ? Style::good : state == "error" ? Style::bad : Style::busy;
        console.line(fmt::format("{} {:<14}{}", console.paint(style, fmt::format("{:<8}", one_line(state))), one_line(each["check"].as_string()), one_line(each["text"].as_string())));
        if (const std::string& fix = each["fix"].as_string(); !fix.empty()) console.line(fmt::format("{:<23}→ {}", "", one_line(fix)));
    }
}

std::vector<std::string> reason_lines(const Json& reasons, const Json& said)
{
    std::vector<std::string> out;
    for (const Json& reason : reasons.as_array()) {
        if (reason["text"] == said) continue;
        std::string line = "  - " + one_line(reason["text"].as_string());
        const std::string& hint = reason["hint"].as_string();
        if (!hint.empty() && line.find(hint) == std::string::npos) line += " → " + one_line(hint);
        out.push_back(std::move(line));
    }
    return out;
}

std::string joined(const Json& list)
{
    if (list.is_string()) return list.as_string();
    std::string out;
    for (const Json& item : list.as_array()) out += (out.empty() ? "" : ", ") + (item.is_string() ? item.as_string() : dump_json(item));
    return out;
}

}  // namespace mill::cli
