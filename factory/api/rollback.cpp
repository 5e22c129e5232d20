// Deployments go back to a version that they had.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/checked.h"
#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "platform/base/fields.h"

namespace mill::factory::handler {
namespace {

/// The version that the deployment had before: not one that a rollback left, nor one that was decommissioned. Null: there is none.
const VersionMove* version_before(Reader& reader, const Document& stored, const std::vector<VersionMove>& moves)
{
    const std::string& now = stored.spec["package"].as_string();
    for (const VersionMove& move : moves) {
        if (move.to == now || rolled_back(reader, stored, move.to)) continue;
        const auto package = reader.package(move.to.substr(0, move.to.find('@')), move.to.substr(move.to.find('@') + 1));
        if (package && package->state != PackageState::decommissioned) return &move;
    }
    return nullptr;
}

/// The newest line with that version: the deployment as it was last with it.
const VersionMove* line_of(const std::vector<VersionMove>& moves, const std::string& version)
{
    const auto found = std::find_if(moves.begin(), moves.end(), [&](const VersionMove& move) { return move.to == version; });
    return found == moves.end() ? nullptr : &*found;
}

/// How long ago the deployment first came to it: a smaller number is later.
std::size_t first_line(const std::vector<VersionMove>& moves, const std::string& version)
{
    std::size_t at = 0;
    for (std::size_t i = 0; i < moves.size(); ++i)
        if (moves[i].to == version) at = i;
    return at;
}

std::string versions_text(const std::vector<VersionMove>& moves)
{
    std::vector<std::string> names;
    for (const VersionMove& move : moves)
        if (names.size() < 20 && std::find(names.begin(), names.end(), move.to) == names.end()) names.push_back(move.to);
    return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

void rollback_deployment(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "rollback");
    std::string to = fields.text("to", "");
    const bool rebind = fields.boolean("rebindWaiting", false);
    const std::string why = fields.text("why", "");
    if (why.size() > 1000) fields.mistake("why", "is longer than 1000 bytes");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const std::string name = (*call)["name"];
    VersionOrder order{.deployment = name, .spec = {}, .what = "rolled_back", .why = why, .rebind_waiting = rebind};
    std::string from;
    std::vector<std::string> warnings;
    {
        const auto reader = service.core.reader();
        const auto stored = reader->document("Deployment", name);
        if (!passed(*call, stored) || !may_change(service, *call, *reader, *stored, fmt::format("moving deployment '{}'", name))) return;
        from = stored->spec["package"].as_string();
        const auto moves = reader->version_moves(stored->uid, kVersionMoves);
        if (!passed(*call, moves)) return;
        if (!to.empty() && to.find('@') == std::string::npos) to = from.substr(0, from.find('@') + 1) + to;
        const VersionMove* line = to.empty() ? version_before(*reader, *stored, *moves) : line_of(*moves, to);
        if (line == nullptr)
            return reply_problem(*call, 409, to.empty() ? fmt::format("deployment '{}' has no version before {} to go back to; it had {} (--to VERSION)", name, from, versions_text(*moves))
                                                        : fmt::format("deployment '{}' never had {}; it had {} (apply its file to go to another one)", name, to, versions_text(*moves)),
                                 "no_version");
        if (line->to == from && !rebind) return reply_problem(*call, 409, fmt::format("deployment '{}' is at {} already", name, from), "no_version");
        to = line->to;
        if (first_line(*moves, to) < first_line(*moves, from)) order.what = "rolled_forward";
        if (!permitted(service, *call, Role::developer, place_of_document(specs_in(*reader), "Deployment", name, line->spec), fmt::format("going to {} as deployment '{}' was then", to, name))) return;
        Document then = *stored;
        then.spec = line->spec;
        if (!may_change(service, *call, *reader, then, fmt::format("going to {} as deployment '{}' was then", to, name))) return;
        auto checked = check(service, *reader, {ResourceKind::deployment, name, to == from ? stored->spec : line->spec}, {}, {true, true});
        if (!checked) return refuse(*call, checked.error());
        order.spec = std::move(checked->document.spec);
        order.generation = stored->generation;
        warnings = std::move(checked->warnings);
    }
    service.core.move_deployment(std::move(order), call->who(), [call, name, from, to, warnings](const Result<VersionMoved>& moved) {
        if (!passed(*call, moved)) return;
        Json out = Json::object({{"deployment", name}, {"from", from}, {"to", to}, {"rebound", moved->rebound}, {"left", moved->left}, {"resource", resource_json(moved->document)}});
        if (!warnings.empty()) out.set("warnings", texts_json(warnings));
        reply(*call, 200, out);
    });
}

}  // namespace mill::factory::handler
