#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/rights.h"

namespace mill::factory::handler {
namespace {

Json text_schema() { return Json::object({{"type", "string"}}); }

struct Refusals {
    int status;
    std::string_view name, description;
};
// The document's shared answers; which route has which says `refusals_of`.
constexpr std::array kRefusals = std::to_array<Refusals>({
    {400, "Invalid", "Wrong input; all mistakes are named"},
    {401, "Unauthorized", "No valid token"},
    {403, "Forbidden", "The token does not allow it; `needs` says the role, environment or scope, `ask` who can give it"},
    {404, "NotFound", "Not there"},
    {408, "Slow", "The request did not arrive in time"},
    {409, "Conflict", "Not as things are now"},
    {410, "Over", "It is too late"},
    {412, "Changed", "Somebody changed it meanwhile: `changedBy`, `changedAt`, `differences`"},
    {413, "TooLarge", "The body, or a part of it, is too large"},
    {415, "ContentType", "Another Content-Type was expected"},
    {422, "Unprocessable", "It contradicts what was said before"},
    {426, "Upgrade", "The agent is too old"},
    {429, "TooMany", "Too many calls; Retry-After says when the next may come"},
    {431, "Header", "The request's header is too large"},
    {501, "NotImplemented", "This factory was started without it"},
    {503, "Unavailable", "Not now; try again"},
    {504, "Timeout", "A check took too long"},
});

std::vector<int> refusals_of(const Route& route)
{
    const bool reads = route.method == "GET", named = route.pattern.find('{') != std::string_view::npos;
    std::vector<int> out{400, 408, 413, 429, 431, 503};
    const auto add = [&](bool when, int status) {
        if (when) out.push_back(status);
    };
    const bool open = route.access == Access::open;
    add(!open || route.pattern == "/oauth/token" || route.pattern == "/metrics" || route.pattern.starts_with("/agent/"), 401);
    add(!open || route.pattern.starts_with("/agent/"), 403);
    add(named || route.query.find("job") != std::string_view::npos || route.pattern == "/v1/deliveries/resend" || route.pattern == "/v1/tokens" || route.pattern == "/v1/can" || route.pattern.starts_with("/agent/"), 404);
    add(!reads || named, 409);
    const Right right = right_of(route);
    add(right.area == Area::resources && (route.method == "PUT" || route.method == "DELETE"), 412);
    add(!reads, 415);
    add(right.area == Area::runs || right.area == Area::packages || route.access == Access::sap || route.access == Access::chat || route.access == Access::hook, 422);
    add(route.pattern.starts_with("/v1/questions/") && !reads, 410);
    add(route.pattern.starts_with("/agent/"), 426);
    add(route.pattern.ends_with("/test"), 501);
    add(right.area == Area::runs || right.area == Area::packages || route.access == Access::sap || route.access == Access::chat || route.access == Access::hook || !reads, 504);
    return out;
}

struct Successes {
    std::string_view method, pattern;
    std::string_view statuses;
};
// GET 200, DELETE 204, all others 200, but for these.
constexpr std::array kSuccesses = std::to_array<Successes>({
    {"PUT", "/v1/packages/{name}/{version}/state", "200"}, {"PUT", "*", "200,201"}, {"POST", "/v1/environments/{name}/release", "204"}, {"POST", "/v1/environments/{name}/key", "201"},
    {"POST", "/v1/triggers/{name}/token", "201"}, {"POST", "/v1/triggers/{name}/runs", "200,202"}, {"POST", "/apitrigger/v1/triggers/{id}/run", "200,202"},
    {"POST", "/runtime/v1/apiTriggers/{id}/runs", "200,202"}, {"POST", "/public/irpa/runtime/v1/apiTriggers/{id}/runs", "200,202"}, {"POST", "/v1/tokens", "201"},
    {"POST", "/v1/tokens/{id}/rotate", "201"}, {"POST", "/v1/jobs/{uid}/deliveries/resend", "202"}, {"POST", "/v1/jobs/{uid}/cancel", "200,202"}, {"POST", "/v1/jobs/{uid}/retry", "202"},
    {"POST", "/v1/deliveries/resend", "200,202"}, {"POST", "/v1/deliveries/{id}/resend", "202"}, {"POST", "/v1/agents/invitations", "201"}, {"POST", "/v1/agents/requests/{code}/refuse", "204"},
    {"POST", "/v1/hooks/{trigger}", "200,202"}, {"POST", "/v1/agents/{name}/doctor", "202"}, {"POST", "/v1/agents/{name}/canary", "202"},
});

std::string_view successes_of(const Route& route)
{
    if (route.pattern.starts_with("/agent/")) return "2XX";   // the agents' protocol: protocol/README.md
    for (const Successes& each : kSuccesses)
        if (each.method == route.method && (each.pattern == route.pattern || each.pattern == "*")) return each.statuses;
    return route.method == "DELETE" ? "204" : "200";
}

std::string_view media_type_of(const Route& route)
{
    if (route.pattern == "/metrics") return "text/plain";
    if (route.pattern == "/") return "text/html";
    if (route.pattern.starts_with("/console/")) return "*/*";
    if (route.pattern == "/v1/events") return "text/event-stream";
    return route.pattern.ends_with("/archive") || route.pattern == "/agent/v1/packages/{digest}" ? "application/zip" : "application/json";
}

Json answers_of(const Route& route)
{
    Json out = Json::object();
    for (std::string_view rest = successes_of(route); !rest.empty();) {
        const auto comma = rest.find(',');
        const std::string status(rest.substr(0, comma));
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
        Json answer = Json::object({{"description", status == "201" ? "Made" : status == "202" ? "Accepted; it goes on" : "Done"}});
        if (status != "204") answer.set("content", Json::object({{std::string(media_type_of(route)), Json::object({{"schema", Json::object()}})}}));
        out.set(status, std::move(answer));
    }
    const bool page = route.pattern == "/" || route.pattern.starts_with("/console/");
    if (route.method == "GET" && (page || (right_of(route).area == Area::resources && route.pattern.ends_with("{name}")))) out.set("304", Json::object({{"description", "As If-None-Match has it"}}));
    std::vector<int> statuses = refusals_of(route);
    std::sort(statuses.begin(), statuses.end());
    for (const int status : statuses)
        for (const Refusals& each : kRefusals)
            if (each.status == status) out.set(std::to_string(status), Json::object({{"$ref", Json(fmt::format("#/components/responses/{}", each.name))}}));
    return out;
}

Json shared_answers()
{
    Json out = Json::object();
    const Json content = Json::object({{"application/problem+json", Json::object({{"schema", Json::object({{"$ref", "#/components/schemas/Problem"}})}})}});
    for (const Refusals& each : kRefusals) {
        Json answer = Json::object({{"description", Json(each.description)}, {"content", content}});
        if (each.status == 429) answer.set("headers", Json::object({{"Retry-After", Json::object({{"schema", Json::object({{"type", "integer"}})}})}}));
        out.set(std::string(each.name), std::move(answer));
    }
    return out;
}

Json query_schema(std::string_view name)
{
    if (name == "limit" || name == "count") return Json::object({{"type", "integer"}, {"minimum", 1}, {"maximum", 1000}});
    if (name == "wait") return Json::object({{"type", "integer"}, {"minimum", 0}, {"maximum", 30}});
    if (name == "dryRun" || name == "accept" || name == "force" || name == "rotate" || name == "draft") return Json::object({{"type", "boolean"}});
    return text_schema();
}

Json parameters_of(const Route& route)
{
    Json out = Json::array();
    std::string_view rest = route.pattern;
    for (auto open = rest.find('{'); open != std::string_view::npos; open = rest.find('{')) {
        const auto close = rest.find('}');
        out.push(Json::object({{"name", Json(rest.substr(open + 1, close - open - 1))}, {"in", "path"}, {"required", true}, {"schema", text_schema()}}));
        rest = rest.substr(close + 1);
    }
    for (rest = route.query == "*" ? std::string_view() : route.query; !rest.empty();) {
        const auto comma = rest.find(',');
        out.push(Json::object({{"name", Json(rest.substr(0, comma))}, {"in", "query"}, {"schema", query_schema(rest.substr(0, comma))}}));
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
    return out;
}

std::string operation_id(const Route& route)
{
    std::string out;
    for (const char c : fmt::format("{}{}", route.method, route.pattern)) {
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) out += c;
        else if (!out.empty() && out.back() != '_') out += '_';
    }
    while (!out.empty() && out.back() == '_') out.pop_back();
    return out;
}

std::string_view role_text(Access access)
{
    switch (access) {
    case Access::open: return "none";
    case Access::any_token: return "a token";
    case Access::viewer: return "viewer";
    case Access::operate: return "operator";
    case Access::developer: return "developer";
    case Access::admin: return "admin";
    case Access::sap: return "irpa-trigger-token or irpa-api-key";
    case Access::chat: return "the platform's signature, or a token of the trigger";
    case Access::hook: return "a signature over the body";
    case Access::agent: return "agent";
    case Access::attempt: return "attempt";
    }
    return "none";
}

Json security_of(Access access)
{
    if (access == Access::open || access == Access::hook) return Json::array();
    if (access == Access::sap)
        return Json::array({Json::object({{"triggerToken", Json::array()}}), Json::object({{"apiKey", Json::array()}}), Json::object({{"bearer", Json::array()}})});
    // The empty one: Slack and Teams sign, and a path may hold the token.
    if (access == Access::chat) return Json::array({Json::object({{"bearer", Json::array()}}), Json::object({{"basic", Json::array()}}), Json::object()});
    return Json::array({Json::object({{"bearer", Json::array()}})});
}

Json operation_of(const Route& route)
{
    Json out = Json::object({{"operationId", Json(operation_id(route))}, {"summary", Json(route.summary)}, {"x-role", Json(role_text(route.access))},
                             {"security", security_of(route.access)}});
    const Right right = right_of(route);
    if (right.area != Area::none) out.set("x-scope", Json(fmt::format("{}{}", name(right.area), route.method == "GET" ? ":read" : "")));
    if (const Json parameters = parameters_of(route); !parameters.empty()) out.set("parameters", parameters);
    if (route.method == "PUT" || route.method == "POST" || route.method == "PATCH") {
        const bool bytes = route.pattern == "/v1/packages/{name}/{version}", form = route.pattern == "/agent/v1/token" || route.pattern == "/oauth/token";
        const std::string_view type = bytes ? "application/octet-stream" : form ? "application/x-www-form-urlencoded" : "application/json";
        const Json schema = bytes ? Json::object() : Json::object({{"type", "object"}});
        Json content = Json::object({{std::string(type), Json::object({{"schema", schema}})}});
        if (route.access == Access::chat) content.set("application/x-www-form-urlencoded", Json::object({{"schema", schema}}));
        out.set("requestBody", Json::object({{"description", Json(fmt::format("At most {} bytes", route.body))}, {"content", std::move(content)}}));
    }
    return out.set("responses", answers_of(route));
}

}  // namespace

void openapi(Service& service, const CallPtr& call)
{
    Json paths = Json::object();
    for (const Route& route : routes()) {
        std::string method(route.method);
        for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
        Json path = paths[route.pattern];
        path.set(method, operation_of(route));
        paths.set(route.pattern, std::move(path));
    }
    const Json problem = Json::object({{"type", "object"},
                                       {"required", Json::array({Json("type"), Json("title"), Json("status"), Json("detail"), Json("code")})},
                                       {"properties", Json::object({{"type", text_schema()}, {"title", text_schema()}, {"detail", text_schema()},
                                                                    {"status", Json::object({{"type", "integer"}})}, {"code", text_schema()}})}});
    const Json schemes = Json::object({{"bearer", Json::object({{"type", "http"}, {"scheme", "bearer"}, {"description", "mw_KIND_ID_SECRET, or what /oauth/token gave"}})},
                                       {"client", Json::object({{"type", "oauth2"}, {"flows", Json::object({{"clientCredentials", Json::object({{"tokenUrl", "/oauth/token"}, {"scopes", Json::object()}})}})}})},
                                       {"basic", Json::object({{"type", "http"}, {"scheme", "basic"}, {"description", "Any user name, and the token as the password"}})},
                                       {"triggerToken", Json::object({{"type", "apiKey"}, {"in", "header"}, {"name", "irpa-trigger-token"}})},
                                       {"apiKey", Json::object({{"type", "apiKey"}, {"in", "header"}, {"name", "irpa-api-key"}})}});
    reply(*call, 200, Json::object({{"openapi", "3.1.0"},
                                    {"info", Json::object({{"title", "Millwright factory"}, {"version", Json(MILL_VERSION)}, {"license", Json::object({{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}})},
                                                           {"description", "Errors are RFC 7807 problem documents. Unknown members and query names are errors."}})},
                                    {"servers", Json::array({Json::object({{"url", Json(service.base_url(call->http))}})})},
                                    {"paths", std::move(paths)},
                                    {"components", Json::object({{"schemas", Json::object({{"Problem", problem}})}, {"responses", shared_answers()}, {"securitySchemes", schemes}})}}));
}

}  // namespace mill::factory::handler
