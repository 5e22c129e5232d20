#include <fmt/format.h>

#include "factory/api/handlers.h"

namespace mill::factory::handler {
namespace {

Json text_schema() { return Json::object({{"type", "string"}}); }

Json problem_answer(std::string_view description)
{
    return Json::object({{"description", Json(description)},
                         {"content", Json::object({{"application/problem+json", Json::object({{"schema", Json::object({{"$ref", "#/components/schemas/Problem"}})}})}})}});
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
        out.push(Json::object({{"name", Json(rest.substr(0, comma))}, {"in", "query"}, {"schema", text_schema()}}));
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
    case Access::agent: return "agent";
    case Access::attempt: return "attempt";
    }
    return "none";
}

Json security_of(Access access)
{
    if (access == Access::open) return Json::array();
    if (access == Access::sap)
        return Json::array({Json::object({{"triggerToken", Json::array()}}), Json::object({{"apiKey", Json::array()}}), Json::object({{"bearer", Json::array()}})});
    // The empty one: Slack and Teams sign, and a path may hold the token.
    if (access == Access::chat) return Json::array({Json::object({{"bearer", Json::array()}}), Json::object({{"basic", Json::array()}}), Json::object()});
    return Json::array({Json::object({{"bearer", Json::array()}})});
}

Json operation_of(const Route& route)
{
    Json answers = Json::object();
    const std::string_view answer = route.pattern == "/" ? "text/html" : route.pattern.starts_with("/console/") ? "*/*" : "application/json";
    answers.set("2XX", Json::object({{"description", "Done"}, {"content", Json::object({{std::string(answer), Json::object({{"schema", Json::object()}})}})}}));
    answers.set("400", problem_answer("Wrong input; all mistakes are named"));
    if (route.access != Access::open) answers.set("401", problem_answer("No valid token"));
    if (route.access != Access::open) answers.set("403", problem_answer("The token does not allow it; names what is missing"));
    if (route.pattern.find('{') != std::string_view::npos) answers.set("404", problem_answer("Not there"));
    answers.set("default", problem_answer("Any other failure"));
    Json out = Json::object({{"operationId", Json(operation_id(route))}, {"summary", Json(route.summary)}, {"x-role", Json(role_text(route.access))},
                             {"security", security_of(route.access)}});
    if (const Json parameters = parameters_of(route); !parameters.empty()) out.set("parameters", parameters);
    if (route.method == "PUT" || route.method == "POST" || route.method == "PATCH") {
        const bool bytes = route.pattern == "/v1/packages/{name}/{version}", form = route.pattern == "/agent/v1/token" || route.pattern == "/oauth/token";
        const std::string_view type = bytes ? "application/octet-stream" : form ? "application/x-www-form-urlencoded" : "application/json";
        const Json schema = bytes ? Json::object() : Json::object({{"type", "object"}});
        Json content = Json::object({{std::string(type), Json::object({{"schema", schema}})}});
        if (route.access == Access::chat) content.set("application/x-www-form-urlencoded", Json::object({{"schema", schema}}));
        out.set("requestBody", Json::object({{"description", Json(fmt::format("At most {} bytes", route.body))}, {"content", std::move(content)}}));
    }
    return out.set("responses", std::move(answers));
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
                                       {"required", Json::array({Json("type"), Json("title"), Json("status"), Json("detail")})},
                                       {"properties", Json::object({{"type", text_schema()}, {"title", text_schema()}, {"detail", text_schema()},
                                                                    {"status", Json::object({{"type", "integer"}})}})}});
    const Json schemes = Json::object({{"bearer", Json::object({{"type", "http"}, {"scheme", "bearer"}, {"description", "mw_KIND_ID_SECRET"}})},
                                       {"basic", Json::object({{"type", "http"}, {"scheme", "basic"}, {"description", "Any user name, and the token as the password"}})},
                                       {"triggerToken", Json::object({{"type", "apiKey"}, {"in", "header"}, {"name", "irpa-trigger-token"}})},
                                       {"apiKey", Json::object({{"type", "apiKey"}, {"in", "header"}, {"name", "irpa-api-key"}})}});
    reply(*call, 200, Json::object({{"openapi", "3.1.0"},
                                    {"info", Json::object({{"title", "Millwright factory"}, {"version", Json(MILL_VERSION)},
                                                           {"description", "Errors are RFC 7807 problem documents. Unknown members and query names are errors."}})},
                                    {"servers", Json::array({Json::object({{"url", Json(service.base_url(call->http))}})})},
                                    {"paths", std::move(paths)},
                                    {"components", Json::object({{"schemas", Json::object({{"Problem", problem}})}, {"securitySchemes", schemes}})}}));
}

}  // namespace mill::factory::handler
