#include "workflows/schemas/words.h"

namespace mill::workflows::schema {

Json or_expression(const Json& schema)
{
    if (!schema.is_object()) return schema;
    Json inner = schema;
    for (const char* key : {"properties"})
        if (const Json* members = schema.find(key)) {
            Json relaxed = Json::object();
            for (const auto& [name, member] : members->as_object()) relaxed.set(name, or_expression(member));
            inner.set(key, std::move(relaxed));
        }
    for (const char* key : {"items", "additionalProperties"})
        if (schema[key].is_object()) inner.set(key, or_expression(schema[key]));
    const bool any = !schema.contains("type") && !schema.contains("enum") && !schema.contains("allOf") && !schema.contains("$ref");
    const bool plain_text = schema["type"] == Json("string") && !schema.contains("enum") && !schema.contains("pattern") && !schema.contains("format");
    if (any || plain_text) return inner;
    Json out = Json::object();
    if (schema.contains("enum")) {  // editors offer choices out of anyOf, and none out of if
        inner.erase("description");
        out.set("anyOf", Json::array({std::move(inner), is_expression()}));
        return schema.contains("description") ? out.set("description", schema["description"]) : out;
    }
    if (schema.contains("description")) out.set("description", schema["description"]);
    return out.set("if", is_expression()).set("else", std::move(inner));
}

void add_data(Json& definitions)
{
    definitions.set("expression", Json::object({{"type", Json::array({"string", "boolean", "number"})},
        {"description", "A jq expression; the braces ${ } may be left out here"}}));
    const Json amount = typed("number", "how many").set("minimum", 0);
    Json amounts = Json::object();
    for (const char* unit : {"days", "hours", "minutes", "seconds", "milliseconds"}) amounts.set(unit, or_expression(amount));
    Json units = Json::object({{"type", "object"}, {"properties", amounts}, {"additionalProperties", false}, {"minProperties", 1}});
    definitions.set("duration", Json::object({{"description", "A duration: { minutes: 5 }, or ISO 8601 such as PT5M, or an expression"},
        {"if", Json::object({{"type", "string"}})},
        {"then", Json::object({{"pattern", "^\\s*(P|\\$\\{)"}})},
        {"else", units}}));
    definitions.set("timeout", Json::object({{"description", "{ after: duration }, or a name of use.timeouts"},
        {"if", Json::object({{"type", "string"}})},
        {"else", object({{"after", ref("duration")}}, Json::array({"after"}))}}));
    const Json address = Json::object({{"description", "The file: package:///schemas/x.json"}, {"type", Json::array({"string", "object"})},
                                       {"properties", Json::object({{"uri", text("package:///schemas/x.json")}, {"authentication", Json::object()}})}});
    definitions.set("schema", object({{"format", text("json, which is what holds when it is left out").set("pattern", "^json(:.*)?$")},
                                      {"document", Json::object({{"description", "A JSON Schema (draft 7)"}, {"type", Json::array({"object", "boolean"})}})},
                                      {"resource", object({{"endpoint", address}, {"name", text("its name")}}, Json::array({"endpoint"}), false)}})
                                  .set("anyOf", Json::array({Json::object({{"required", Json::array({"document"})}}), Json::object({{"required", Json::array({"resource"})}})})));
    definitions.set("input", object({{"schema", ref("schema", "What the raw input must fit")},
                                     {"from", described("What the input becomes: an expression, or an object whose texts ${ … } are expressions")}}));
    definitions.set("output", object({{"schema", ref("schema", "What the transformed output must fit")},
                                      {"as", described("What the output becomes: an expression, or an object whose texts ${ … } are expressions")}}));
    definitions.set("export", object({{"schema", ref("schema", "What $context must fit")},
                                      {"as", described("The new $context, such as '${ $context + {order: .} }'")}}));
    const auto secret = [](const char* name, const char* why) { return object({{"use", text(why)}}, Json::array({"use"})).set("description", name); };
    const auto login = [&](const char* description, Json members) {
        Json required = Json::array();
        for (const auto& [name, member] : members.as_object()) required.push(name);
        Json own = Json::object({{"type", "object"}, {"properties", std::move(members)}, {"required", std::move(required)}, {"additionalProperties", false}});
        return Json::object({{"description", description}, {"if", Json::object({{"required", Json::array({"use"})}})},
                             {"then", secret(description, "a secret of use.secrets")}, {"else", std::move(own)}});
    };
    const Json texts = or_expression(list_of(Json::object({{"type", "string"}}), "a list of texts"));
    Json oauth = Json::object({{"authority", text("the authority's address")}, {"grant", text("client_credentials, password or refresh_token")},
        {"client", object({{"id", text("the client's id")}, {"secret", text("'${ $secrets.NAME.clientSecret }'")}, {"assertion", text("a JWT")}, {"authentication", text("client_secret_post, client_secret_basic or none")}})},
        {"scopes", texts}, {"audiences", texts}, {"issuers", texts}, {"username", text("of the grant password")}, {"password", text("'${ $secrets.NAME.password }'")},
        {"subject", object({{"token", text("the refresh token")}, {"type", text("its type")}})}, {"actor", object({{"token", text("a token")}, {"type", text("its type")}})},
        {"request", object({{"encoding", text("application/x-www-form-urlencoded unless told, or application/json")}})}});
    const auto granted = [&](const char* description, Json members) {
        Json made = login(description, members);
        Json own = made["else"];
        return made.set("else", own.set("required", Json::array({"authority", "grant"})));
    };
    const Json oidc = granted("OpenID Connect: the authority's discovery document names the endpoints", oauth);
    oauth.set("endpoints", object({{"token", text("below the authority; /oauth2/token unless told")}, {"revocation", text("below the authority")}, {"introspection", text("below the authority")}}));
    definitions.set("authentication", object({{"use", text("a name of use.authentications or use.secrets")},
                                              {"basic", login("username and password, or { use: SECRET }", Json::object({{"username", text("the name")}, {"password", text("'${ $secrets.NAME.password }'")}}))},
                                              {"bearer", login("a token, or { use: SECRET }", Json::object({{"token", text("'${ $secrets.NAME.token }'")}}))},
                                              {"digest", login("username and password, never sent as they are, or { use: SECRET }", Json::object({{"username", text("the name")}, {"password", text("'${ $secrets.NAME.password }'")}}))},
                                              {"oauth2", granted("OAuth 2: a token is fetched for the job, or { use: SECRET }", oauth)}, {"oidc", oidc}})
                                          .set("minProperties", 1).set("maxProperties", 1));
    definitions.set("error", object({{"type", text("https://serverlessworkflow.io/spec/1.0.0/errors/ and one of configuration, validation, expression, authentication, authorization, timeout, communication, runtime; or an address of your own")},
                                     {"status", or_expression(integer("as in HTTP, such as 404"))},
                                     {"title", text("what it is, in a line")}, {"detail", text("what happened")}, {"instance", text("where, a JSON pointer")}},
                                    Json::array({"type", "status"})));
    const Json per_attempt = object({{"count", typed("integer", "how many retries: 3 means four tries at most").set("minimum", 0)}, {"duration", ref("duration", "the longest that one try takes")}});
    const Json empty = object({}, {}, false);
    definitions.set("retry", object({{"when", ref("expression", "retry only then; $error is there")}, {"exceptWhen", ref("expression", "do not retry then")},
                                     {"delay", ref("duration", "before a retry")},
                                     {"backoff", object({{"constant", described("always the same delay: {}")}, {"linear", described("delay × n: {}")}, {"exponential", described("delay × 2^(n-1): {}")}})
                                                     .set("minProperties", 1).set("maxProperties", 1).set("description", "how the delay grows; one of constant, linear, exponential")},
                                     {"limit", object({{"attempt", per_attempt}, {"duration", ref("duration", "of all tries together")}})},
                                     {"jitter", object({{"from", ref("duration")}, {"to", ref("duration")}}, Json::array({"from", "to"})).set("description", "a random time that is added to the delay")}}));
}

}  // namespace mill::workflows::schema
