#include "workflows/schemas/words.h"

namespace mill::workflows::schema {
namespace {

Json one_each(Json member, const char* description)
{
    return typed("array", description).set("minItems", 1).set("items", Json::object({{"type", "object"}, {"minProperties", 1}, {"maxProperties", 1}, {"additionalProperties", std::move(member)}}));
}

Json run_of()
{
    const Json arguments = Json::object({{"description", "a list, in order; or an object: each name with =value"}, {"type", Json::array({"array", "object", "string"})}});
    const Json environment = Json::object({{"description", "name and value each"}, {"type", Json::array({"object", "string"})}});
    const Json input = described("what its standard input holds");
    const Json source = object({{"endpoint", described("package:///scripts/x.py")}, {"name", text("its name")}}, Json::array({"endpoint"}), false);
    const Json shell = object({{"command", text("what sh runs, in the job's sandbox; needs permissions.commands: [ sh ]")}, {"arguments", arguments}, {"environment", environment}, {"stdin", input}}, Json::array({"command"}));
    const Json script = object({{"language", one_of("js needs the command node, python the command python3", Json::array({"js", "javascript", "python"}))}, {"code", text("the script itself")},
                                {"source", source}, {"arguments", arguments}, {"environment", environment}, {"stdin", input}}, Json::array({"language"}))
                            .set("oneOf", Json::array({Json::object({{"required", Json::array({"code"})}}), Json::object({{"required", Json::array({"source"})}})}));
    const Json workflow = object({{"namespace", text("of its document")}, {"name", text("of its document")}, {"version", text("of its document, or latest")}, {"input", described("its input; the task's input when it is left out")}},
                                 Json::array({"namespace", "name", "version"})).set("description", "another workflow of the package");
    return object({{"shell", shell}, {"script", script}, {"workflow", workflow}, {"await", boolean("true (unless told): the task waits for its end")},
                   {"return", one_of("what the task gives: stdout unless told", Json::array({"stdout", "stderr", "code", "all", "none"}))}})
        .set("oneOf", Json::array({Json::object({{"required", Json::array({"shell"})}}), Json::object({{"required", Json::array({"script"})}}), Json::object({{"required", Json::array({"workflow"})}})}));
}

Json catch_of()
{
    const Json with = object({{"type", text("the error's type; compared by its last word among the standard ones")}, {"status", integer("such as 404")}, {"instance", text("the task's JSON pointer")},
                              {"title", text("the error's title")}, {"detail", text("the error's detail")}, {"details", text("the same as detail")}});
    return object({{"errors", object({{"with", with}}).set("description", "which errors; all when it is left out")},
                   {"as", text("the variable that holds the error: error unless told")},
                   {"when", ref("expression", "only then")}, {"exceptWhen", ref("expression", "not then")},
                   {"retry", Json::object({{"description", "a policy, or a name of use.retries"}, {"if", Json::object({{"type", "string"}})}, {"else", ref("retry")}})},
                   {"do", ref("tasks", "what handles the error, after the last retry")}, {"then", ref("then")}});
}

Json metadata_of()
{
    return typed("object", "anything; the language looks at `reveal` only")
        .set("properties", Json::object({{"reveal", list_of(Json::object({{"type", "string"}}), "of run: shell and run: script: the secrets whose values its environment and stdin may hold; needs permissions.reveal")}}));
}

using Keys = std::vector<const char*>;

/// With one of these a task is of that kind; then only these keys and those of every task may be there.
const std::vector<std::pair<const char*, Keys>>& kinds()
{
    static const std::vector<std::pair<const char*, Keys>> kAll = {
        {"call", {"call", "with"}}, {"emit", {"emit"}}, {"for", {"for", "while", "do"}}, {"fork", {"fork"}}, {"raise", {"raise"}},
        {"run", {"run"}}, {"set", {"set"}}, {"switch", {"switch"}}, {"try", {"try", "catch"}}, {"wait", {"wait"}}};
    return kAll;
}

Json task_of()
{
    Json properties = Json::object({
        {"if", ref("expression", "false: the task is skipped, the data stays as it is")},
        {"input", ref("input", "What the task gets")}, {"output", ref("output", "What it gives on")}, {"export", ref("export", "What $context becomes after it")},
        {"timeout", ref("timeout", "The longest that it takes")}, {"then", ref("then")}, {"metadata", metadata_of()},
        {"call", ref("callName")}, {"with", described("the arguments")},
        {"do", ref("tasks", "tasks in a list of their own; with `for` the loop's body")},
        {"emit", object({{"event", object({{"with", typed("object", "a CloudEvent: source and type are needed; id, time, subject, datacontenttype, dataschema, data").set("required", Json::array({"source", "type"}))}}, Json::array({"with"}))}}, Json::array({"event"}))
                     .set("description", "a CloudEvent of the run")},
        {"for", object({{"each", text("the variable of the item: item unless told")}, {"in", Json::object({{"description", "an expression that gives an array, or the array"}, {"type", Json::array({"string", "array"})}})},
                        {"at", text("the variable of the index: index unless told")}}, Json::array({"in"})).set("description", "a loop: do is its body; an iteration's output is the next one's input")},
        {"while", ref("expression", "looked at before each iteration; false ends the loop")},
        {"fork", object({{"branches", one_each(ref("task"), "tasks that run at the same time")}, {"compete", boolean("true: the first to finish wins, the others are cancelled")}}, Json::array({"branches"}))},
        {"raise", object({{"error", Json::object({{"description", "an error, or a name of use.errors"}, {"if", Json::object({{"type", "string"}})}, {"else", ref("error")}})}}, Json::array({"error"}))},
        {"run", run_of()},
        {"set", Json::object({{"description", "Replaces the data: an object whose texts ${ … } are expressions, or one expression"}, {"if", Json::object({{"type", "string"}})}, {"then", is_expression()}, {"else", Json::object({{"type", "object"}})}})},
        {"switch", one_each(object({{"when", ref("expression", "true: this case is taken; without it, always")}, {"then", ref("then")}}, Json::array({"then"})), "The first case whose `when` holds says where to go on")},
        {"try", ref("tasks", "tasks whose errors `catch` handles")}, {"catch", catch_of()},
        {"wait", ref("duration")}});
    Json all = Json::array({ref("callWith")}), any = Json::array({Json::object({{"required", Json::array({"do"})}})});
    for (const auto& [kind, own] : kinds()) {
        Json names = Json::array();
        for (const char* key : own) names.push(key);
        for (const char* key : {"if", "input", "output", "export", "timeout", "then", "metadata"}) names.push(key);
        const Json has = Json::object({{"required", Json::array({kind})}});
        all.push(Json::object({{"if", has}, {"then", Json::object({{"propertyNames", Json::object({{"enum", std::move(names)}})}})}}));
        any.push(has);
    }
    return Json::object({{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}, {"anyOf", std::move(any)}, {"allOf", std::move(all)},
                         {"dependencies", Json::object({{"with", Json::array({"call"})}, {"while", Json::array({"for"})}, {"for", Json::array({"do"})}, {"catch", Json::array({"try"})}, {"try", Json::array({"catch"})}})}});
}

}  // namespace

void add_tasks(Json& definitions)
{
    const Json directives = Json::array({Json::object({{"enum", Json::array({"continue", "exit", "end"})}}), Json::object({{"type", "string"}})});
    definitions.set("then", Json::object({{"description", "continue; exit: leave this list; end: end the workflow; or a task of this list"}, {"anyOf", directives}}));
    definitions.set("task", task_of());
    definitions.set("tasks", one_each(ref("task"), "A list of tasks: - name: { … }"));
}

}  // namespace mill::workflows::schema
