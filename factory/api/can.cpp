// Whether somebody could make a call, without making it.
#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "platform/base/text.h"

namespace mill::factory::handler {
namespace {

/// As the handlers of calls that every token may make decide.
std::optional<Missing> missing_for(Reader& reader, const Identity& identity, const Route& route, const std::string& thing)
{
    if (route.access != Access::any_token || right_of(route).area == Area::none) return missing_right(reader, identity, route, thing);
    const Place place = place_of(reader, right_of(route).about, thing, true);
    const bool starts = right_of(route).area == Area::runs;
    if (starts)
        for (const std::string& environment : place.environments)
            if (auto missing = missing_in_private(reader, identity, environment)) return missing;
    const bool own = starts && ((identity.kind == "trigger" && identity.subject == thing) || (identity.kind == "env" && place.of == Place::Of::all && place.environments.front() == identity.subject));
    const Route like{route.method, route.pattern, own ? Access::any_token : starts ? Access::operate : Access::viewer, route.handler, {}, {}, 0};
    return missing_right(reader, identity, like, thing);
}

}  // namespace

void can(Service& service, const CallPtr& call)
{
    const std::string who(call->http.query_value("who")), method(call->http.query_value("method")), path(call->http.query_value("path"));
    const auto match = match_route(method, path.substr(0, path.find('?')));
    if (!passed(*call, match)) return;
    if (match->route == nullptr) return reply_problem(*call, 400, fmt::format("there is no call '{} {}'; GET /v1/openapi.json lists what there is", method.substr(0, 20), path.substr(0, 200)));
    const auto reader = service.core.reader();
    const auto tokens = reader->tokens("", "");
    if (!passed(*call, tokens)) return;
    Json items = Json::array();
    for (const TokenRecord& token : *tokens) {
        if ((token.id != who && token.subject != who) || (token.expires && *token.expires <= service.clock.now())) continue;
        const Identity identity = identity_of(token);
        if (!call->identity.covers(identity)) continue;   // as lists of tokens do
        const auto missing = missing_for(*reader, identity, *match->route, thing_of(match->path, *match->route));
        Json item = token_json(token);
        item.set("allowed", Json(!missing));
        if (missing) item.set("needs", missing->needs).set("text", Json(fmt::format("{} {} needs {}", method, path, missing->text)));
        items.push(std::move(item));
    }
    if (items.empty()) return reply_problem(*call, 404, fmt::format("there is no valid token with the id or name '{}' (`millwright tokens` lists them)", who.substr(0, 100)));
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

}  // namespace mill::factory::handler
