#include "workflows/schemas/schemas.h"
#include "workflows/schemas/words.h"

namespace mill::workflows {
namespace {

using namespace schema;

/// A list of texts and of { variable: NAME }.
Json entries(const char* description, Json of)
{
    return list_of(Json::object({{"if", Json::object({{"type", "object"}})},
                                 {"then", object({{"variable", text("a variable of this package that holds the text, or a list of them")}}, Json::array({"variable"}))},
                                 {"else", std::move(of)}}), description);
}

Json permissions()
{
    const Json plain = Json::object({{"type", "string"}});
    const Json path = Json::object({{"type", "string"}, {"pattern", "^/"}});
    const Json amount = Json::object({{"type", Json::array({"string", "integer"})}});
    const auto sized = [&](const char* description) { return Json(amount).set("description", description); };
    return object({{"network", entries("servers: https://host, https://host:8443, host:port, https://*.example.com", plain)},
                   {"files", object({{"read", entries("absolute paths; a folder means what is below it", path)}, {"write", entries("absolute paths; writing means reading, too", path)}})},
                   {"commands", entries("programs that run.shell (sh) and run.script (node, python3) start", plain)},
                   {"credentials", list_of(plain, "names of credentials that use.secrets names")},
                   {"reveal", list_of(plain, "of these credentials those whose values commands are given: metadata: { reveal: [ NAME ] } of run: shell and run: script")},
                   {"metrics", object({{"publish", entries("names of metrics that metric.publish may write: invoices.open, invoices.*", plain)},
                                       {"read", entries("names that metric.read may ask for: invoices.*, millwright.jobs.*", plain)}})},
                   {"system", list_of(Json::object({{"enum", Json::array({"usage"})}}), "usage: load, memory, disks and processes of the machine")},
                   {"limits", object({{"memory", sized("such as 256MiB")}, {"cpu", sized("CPU time, such as 60s")}, {"time", sized("of the whole job, such as 10m")}, {"idle", sized("without a step or a line of log, such as 5m; else no limit")},
                                      {"processes", typed("integer", "at the same time").set("minimum", 1)}, {"output", sized("such as 16MiB")}})}})
        .set("description", "What it may do; it begins with nothing");
}

}  // namespace

Json package_schema()
{
    const Json kind = Json::object({{"anyOf", Json::array({Json::object({{"enum", Json::array({"login", "basic", "bearer", "generic", "sap-cai"})}}), Json::object({{"type", "string"}})})},
                                    {"description", "login or basic {username, password}; bearer {token}; generic"}});
    const Json variable = object({{"type", one_of("of its values", Json::array({"string", "integer", "number", "boolean", "object", "array"}))}, {"default", described("its value unless the deployment gives one")},
                                  {"required", boolean("true: each deployment must give it")}, {"description", text("what it is for")}}, Json::array({"type"}));
    Json out = Json::object({{"$schema", "http://json-schema.org/draft-07/schema#"},
                             {"$id", "https://millwright.invalid/schemas/package.json"},
                             {"title", "Millwright package.yaml"}});
    const Json body = object({{"name", text("small letters, digits, '-'").set("pattern", "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")},
                              {"version", text("a semantic version such as 1.0.0").set("pattern", "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$")},
                              {"title", text("for people")}, {"description", text("what it is for")},
                              {"workflow", text("the file of the workflow 'main'; workflow.yaml unless told")},
                              {"workflows", map_of(Json::object({{"type", "string"}}), "more workflows: name and file each")},
                              {"permissions", permissions()},
                              {"variables", map_of(variable, "what a deployment may set; read as $runtime.metadata.variables.NAME")},
                              {"credentials", map_of(object({{"kind", kind}}, Json::array({"kind"}), false), "the credentials that a deployment binds; read as $secrets.NAME.FIELD")},
                              {"dependencies", map_of(Json::object({{"type", "string"}}), "packages whose workflows this one runs: name and version each")},
                              {"requires", typed("object", "what the agent must have")},
                              {"repeatable", boolean("true: running it twice does no harm, so a lost attempt may be tried again")},
                              {"offline", boolean("true: a person may start it at their agent while the factory is away; it needs nothing of the factory then")}},
                             Json::array({"name", "version"}));
    for (const auto& [key, value] : body.as_object()) out.set(key, value);
    return out;
}

}  // namespace mill::workflows
