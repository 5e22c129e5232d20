#include "cli/dry_run.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/local_run.h"
#include "workflows/plan.h"

namespace mill::cli {

namespace {

using workflows::Need;
using workflows::PlannedCall;

bool covered(const Need& need, const protocol::Permissions& granted)
{
    return std::any_of(need.alternatives.begin(), need.alternatives.end(), [&](const protocol::Permissions& one) {
        protocol::Permissions item = one;
        item.limits = granted.limits;  // not what is asked about here
        return protocol::missing(item, granted).empty();
    });
}

struct Verdict {
    const Need* need;
    std::string state;  ///< granted, refused, unknown
    std::string why;
};

Verdict judge(const Need& need, const protocol::Permissions& asked, const protocol::Permissions& granted)
{
    if (!need.unknown.empty()) return {&need, "unknown", need.unknown};
    if (covered(need, granted)) return {&need, "granted", ""};
    return {&need, "refused", covered(need, asked) ? "package.yaml asks for it, but it is not granted" : "package.yaml does not ask for it"};
}

}  // namespace

int show_plan(Console& console, const workflows::Package& package, const std::string& workflow, const Json& variables,
              const protocol::Permissions& asked, const protocol::Permissions& granted)
{
    const std::vector<PlannedCall> calls = workflows::plan(package, workflow, variables);
    const std::vector<std::string> lacking = protocol::missing(asked, granted);
    Json list = Json::array();
    std::size_t refused = 0, unknown = 0;
    for (const PlannedCall& call : calls) {
        Json needs = Json::array();
        if (!console.json()) console.line(fmt::format("{}:{}: {} {}", call.file, call.mark.line, console.paint(Style::strong, one_line(call.name)), one_line(call.what)));
        if (!console.json() && call.needs.empty()) console.line("    needs nothing");
        for (const Need& need : call.needs) {
            const Verdict verdict = judge(need, asked, granted);
            refused += verdict.state == "refused" ? 1 : 0;
            unknown += verdict.state == "unknown" ? 1 : 0;
            Json one = Json::object({{"permission", need.text}, {"state", verdict.state}});
            if (!verdict.why.empty()) one.set("why", verdict.why);
            needs.push(std::move(one));
            const Style style = verdict.state == "granted" ? Style::good : verdict.state == "refused" ? Style::bad : Style::busy;
            if (!console.json())
                console.line(fmt::format("    {} {}{}", console.paint(style, fmt::format("{:<7}", verdict.state)), one_line(need.text),
                                         verdict.why.empty() ? "" : ": " + one_line(verdict.why)));
        }
        list.push(Json::object({{"workflow", call.workflow}, {"file", call.file}, {"line", call.mark.line}, {"task", call.task}, {"name", call.name},
                                {"call", call.call}, {"what", call.what}, {"needs", std::move(needs)}}));
    }
    const int status = refused > 0 || !lacking.empty() ? kRefused : kDone;
    if (console.json()) {
        Json missing = Json::array();
        for (const std::string& item : lacking) missing.push(item);
        console.document(Json::object({{"calls", std::move(list)}, {"askedNotGranted", std::move(missing)}, {"refused", refused}, {"unknown", unknown}, {"allowed", status == kDone}}));
        return status;
    }
    if (calls.empty()) console.line("nothing is called: the workflow only computes");
    if (unknown > 0) console.note("unknown: what comes from expressions or data is known only when it runs; the broker refuses then what is not granted");
    if (!lacking.empty()) console.note(fmt::format("not granted, although package.yaml asks for it: {}. It would be granted by:\n{}", fmt::join(lacking, ", "), permission_lines(lacking)));
    console.note(fmt::format("nothing was run: {} call{}, {} not granted, {} unknown", calls.size(), calls.size() == 1 ? "" : "s", refused, unknown));
    return status;
}

}  // namespace mill::cli
