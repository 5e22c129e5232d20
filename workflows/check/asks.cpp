// Questions to people: what happens when nobody answers in time is to be said, by `otherwise` or by a `try` around.
#include <fmt/format.h>

#include "workflows/check/analysis.h"
#include "workflows/errors.h"

namespace mill::workflows {
namespace {

bool takes_timeouts(const CatchClause& clause)
{
    if (clause.retry && clause.list < 0) return false;  // tried again, and at last it is an error all the same
    const ErrorFilter& filter = clause.errors;
    if (filter.type && normal_type(*filter.type) != uri_of(ErrorType::timeout)) return false;
    return !filter.status || *filter.status == status_of(ErrorType::timeout);
}

bool is_handled(const Document& document, const Task& asks)
{
    if (asks.pointer.starts_with("/use/")) return true;  // a function: whoever calls it may handle it
    for (const Task& each : document.tasks)
        if (each.kind == TaskKind::try_ && each.catch_ && asks.pointer.starts_with(each.pointer + "/try/") && takes_timeouts(*each.catch_)) return true;
    return false;
}

}  // namespace

void check_asks(Analysis& analysis)
{
    for (const Document* document : analysis.documents)
        for (const Task& each : document->tasks) {
            if (each.kind != TaskKind::call_activity || (each.target != "ask.user" && each.target != "approve")) continue;
            const Json& with = each.definition["with"];
            if (!with.is_object() || with.contains("otherwise") || is_handled(*document, each)) continue;
            analysis.warn("unanswered", *document, each.pointer + "/with",
                          fmt::format("when nobody answers '{}' in time, the workflow faults (timeout, 408): say 'otherwise', or put it into a 'try' that catches the timeout", each.name));
        }
}

}  // namespace mill::workflows
