#include "workflows/schemas/words.h"

namespace mill::workflows::schema {
namespace {

Json if_call(const std::string& name, Json then)
{
    return Json::object({{"if", Json::object({{"properties", Json::object({{"call", Json::object({{"const", name}})}})}, {"required", Json::array({"call"})}})},
                         {"then", std::move(then)}});
}

Json needs_with(const char* definition)
{
    return Json::object({{"properties", Json::object({{"with", ref(definition)}})}, {"required", Json::array({"with"})}});
}

}  // namespace

/// `call:` and, by its value, what `with:` holds.
void add_calls(Json& definitions)
{
    const Json results = one_of("what the task gives: the content (unless told), the whole response, or its bytes in base64", Json::array({"content", "response", "raw"}));
    const Json redirect = boolean("true: a status 3xx is no error; it is not followed");
    const Json endpoint = Json::object({{"description", "The address: a text, in which {name} stands for a member of the data; an expression; or { uri, authentication }"},
        {"if", Json::object({{"type", "string"}})},
        {"else", object({{"uri", text("https://host/path/{name}, or an expression")}, {"authentication", ref("authentication")}}, Json::array({"uri"}))}});
    const Json texts = Json::object({{"if", is_expression()}, {"else", typed("object", "name and value each")}});
    const auto named = [&](const char* description) { return Json(texts).set("description", description); };
    definitions.set("http", object({{"method", text("get, post, put, patch, delete, head or options").set("anyOf", Json::array({
                                         Json::object({{"enum", Json::array({"get", "post", "put", "patch", "delete", "head", "options", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})}}),
                                         Json::object({{"pattern", "^\\s*\\$\\{|^([Gg][Ee][Tt]|[Pp][Oo][Ss][Tt]|[Pp][Uu][Tt]|[Pp][Aa][Tt][Cc][Hh]|[Dd][Ee][Ll][Ee][Tt][Ee]|[Hh][Ee][Aa][Dd]|[Oo][Pp][Tt][Ii][Oo][Nn][Ss])$"}})}))},
                                    {"endpoint", endpoint}, {"headers", named("request headers")}, {"query", named("query parameters")},
                                    {"body", described("sent as JSON, unless it is a text")}, {"output", results}, {"redirect", redirect}},
                                   Json::array({"method", "endpoint"})));
    definitions.set("openapi", object({{"document", object({{"endpoint", Json(endpoint).set("description", "the OpenAPI 3.x or Swagger 2.0 document: package:///api.json or an address")}, {"name", text("its name")}}, Json::array({"endpoint"}))},
                                       {"operationId", text("of the operation, as the document names it")}, {"parameters", named("path, query, header and body parameters by name")},
                                       {"authentication", ref("authentication")}, {"output", results}, {"redirect", redirect}},
                                      Json::array({"document", "operationId"})));
    Json names = Json::array({"http", "openapi"});
    std::string words = "http: an HTTP request; openapi: an operation of an OpenAPI document";
    Json choices = Json::array({if_call("http", needs_with("http")), if_call("openapi", needs_with("openapi"))});
    for (const Activity& activity : activities()) {
        names.push(activity.name);
        words += "; " + activity.name + ": " + activity.description;
        Json with = or_expression(activity.with);
        with.set("description", activity.description + " Example: " + dump_json(activity.example["with"]));
        Json then = Json::object({{"properties", Json::object({{"with", std::move(with)}})}});
        if (!activity.with["required"].empty()) then.set("required", Json::array({"with"}));
        choices.push(if_call(activity.name, std::move(then)));
    }
    // A function of use.functions may have any name; what is left out of the profile is refused by its name.
    const Json others = Json::object({{"type", "string"}, {"pattern", "^(?!(grpc|asyncapi|a2a|mcp|https?://.*)$)[^@]*(@default)?$"}});
    definitions.set("callName", Json::object({{"description", words + "; or a function of use.functions"},
                                              {"anyOf", Json::array({Json::object({{"enum", std::move(names)}}), others})}}));
    definitions.set("callWith", Json::object({{"allOf", std::move(choices)}}));
}

}  // namespace mill::workflows::schema
