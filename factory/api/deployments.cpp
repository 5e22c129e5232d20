#include <fmt/format.h>

#include "factory/api/approvers.h"
#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "platform/base/fields.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kAgentsNamed = 20;
constexpr std::size_t kAgentsExplained = 50;

void unknown_deployment(const Call& call)
{
    reply_problem(call, 404, fmt::format("Deployment '{}' is not there; GET /v1/deployments lists those there are", call["name"].substr(0, 100)));
}

}  // namespace

void preflight(Service& service, const CallPtr& call)
{
    auto limit = limit_of(*call, kAgentsNamed);
    if (!passed(*call, limit)) return;
    const auto approvals = approval_problems(*service.core.reader(), (*call)["name"]);
    service.core.preflight((*call)["name"], *limit, [call, approvals](const Result<Preflight>& found) {
        if (!found && found.error().code == Errc::not_found) return unknown_deployment(*call);
        if (!passed(*call, found)) return;
        Preflight whole = *found;
        whole.problems.insert(whole.problems.end(), approvals.begin(), approvals.end());
        reply(*call, 200, preflight_json(whole));
    });
}

/// The same in the form in which `why` answers about everything else.
void why_deployment(Service& service, const CallPtr& call)
{
    const auto approvals = approval_problems(*service.core.reader(), (*call)["name"]);
    service.core.preflight((*call)["name"], kAgentsExplained, [call, approvals](const Result<Preflight>& found) {
        if (!found && found.error().code == Errc::not_found) return unknown_deployment(*call);
        if (!passed(*call, found)) return;
        Why why{.job = {}, .state = protocol::JobState::ready, .summary = found->summary, .reasons = found->problems};
        why.reasons.insert(why.reasons.end(), approvals.begin(), approvals.end());
        for (const PreflightAgent& agent : found->agents) why.reasons.insert(why.reasons.end(), agent.reasons.begin(), agent.reasons.end());
        reply(*call, 200, why_json(why));
    });
}

void promote_deployment(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "promote");
    const std::string why = fields.text("why", "");
    if (why.size() > 1000) fields.mistake("why", "is longer than 1000 bytes");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    {
        const auto reader = service.core.reader();
        const auto stored = reader->document("Deployment", (*call)["name"]);
        if (stored && !may_change(service, *call, *reader, *stored, fmt::format("promoting deployment '{}'", stored->name))) return;
    }
    service.core.promote_deployment((*call)["name"], why, call->who(), [call, &service](const Result<Nothing>& done) {
        if (!done && done.error().code == Errc::not_found) return unknown_deployment(*call);
        if (!passed(*call, done)) return;
        const auto document = service.core.reader()->document("Deployment", (*call)["name"]);
        if (passed(*call, document)) reply(*call, 200, resource_json(*document));
    });
}

void deployment_history(Service& service, const CallPtr& call)
{
    auto limit = limit_of(*call);
    if (!passed(*call, limit)) return;
    const auto reader = service.core.reader();
    const auto deployment = reader->document("Deployment", (*call)["name"]);
    if (!deployment && deployment.error().code == Errc::not_found) return unknown_deployment(*call);
    if (!passed(*call, deployment)) return;
    auto moves = reader->version_moves(deployment->uid, *limit);
    if (!passed(*call, moves)) return;
    Json items = Json::array();
    for (const VersionMove& move : *moves) items.push(move_json(move));
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

}  // namespace mill::factory::handler
