#include "workflows/schemas/schemas.h"
#include "workflows/schemas/words.h"

namespace mill::workflows {

Json workflow_schema()
{
    using namespace schema;
    Json definitions = Json::object();
    add_data(definitions);
    add_calls(definitions);
    add_tasks(definitions);
    const char* kLabel = "^[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?$";
    const char* kVersion = "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$";
    const Json header = object({{"dsl", text("the language's version: 1.0.3").set("pattern", "^1\\.0\\.(0(-[0-9A-Za-z.-]+)?|[123])$")},
                                {"namespace", text("letters, digits, '-'").set("pattern", kLabel)},
                                {"name", text("the same as in package.yaml").set("pattern", kLabel)},
                                {"version", text("such as 1.0.0; the same as in package.yaml").set("pattern", kVersion)},
                                {"title", text("for people")}, {"summary", text("for people")}, {"tags", typed("object", "name and value each")}, {"metadata", typed("object", "anything")}},
                               Json::array({"dsl", "namespace", "name", "version"}));
    const Json use = object({{"authentications", map_of(ref("authentication"), "authentications by name")}, {"errors", map_of(ref("error"), "errors by name, for raise")},
                             {"functions", map_of(ref("task"), "tasks by name, for call")}, {"retries", map_of(ref("retry"), "retry policies by name, for catch.retry")},
                             {"secrets", list_of(Json::object({{"type", "string"}}), "the credentials that $secrets may name")},
                             {"timeouts", map_of(object({{"after", ref("duration")}}, Json::array({"after"})), "timeouts by name")}});
    const Json schedule = object({{"every", ref("duration", "the time between two starts")}, {"cron", text("five fields, such as 0 6 * * 1-5")}, {"after", ref("duration", "the time between an end and the next start")}})
                              .set("minProperties", 1).set("maxProperties", 1).set("description", "a proposal for a Trigger; by itself it starts nothing");
    const Json evaluate = object({{"language", Json::object({{"const", "jq"}})}, {"mode", Json::object({{"const", "strict"}})}});
    Json out = Json::object({{"$schema", "http://json-schema.org/draft-07/schema#"},
                             {"$id", "https://millwright.invalid/schemas/workflow.json"},
                             {"title", "Millwright workflow"},
                             {"description", "Serverless Workflow DSL 1.0.3 (Open Workflow Specification), profile in docs/language.md"}});
    const Json body = object({{"document", header}, {"input", ref("input", "What a run is given")}, {"output", ref("output", "What it answers")}, {"timeout", ref("timeout", "The longest that a run takes")},
                              {"evaluate", evaluate}, {"schedule", schedule}, {"use", use}, {"do", ref("tasks")}}, Json::array({"document", "do"}));
    for (const auto& [key, value] : body.as_object()) out.set(key, value);
    return out.set("definitions", std::move(definitions));
}

}  // namespace mill::workflows
