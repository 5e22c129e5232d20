#include <algorithm>

#include "platform/base/nearest.h"
#include "workflows/activities/registry.h"
#include "workflows/certain.h"
#include "workflows/expression.h"
#include "workflows/jq_text.h"
#include "workflows/openapi.h"
#include "workflows/reader.h"
#include "workflows/schema.h"

namespace mill::workflows {

void Reader::call(Task& task, const Node& node, const Names& body)
{
    const Node what = node.at("call");
    if (!text(what, "'call'")) return;
    std::string name = what.value->as_string();
    if (node.has("with") && !node.at("with").value->is_string()) object(node.at("with"), "'with'");
    for (const char* later : {"grpc", "asyncapi", "a2a", "mcp"})
        if (name == later) {
            error(what.pointer, fmt::format("'call: {}' is not supported: use 'call: http'", name), "unsupported");
            return;
        }
    task.target = name;
    if (name == "http") {
        task.kind = TaskKind::call_http;
        if (!node.has("with")) error(node.pointer, "'call: http' needs 'with'");
        else call_http(task, node.at("with"), body);
        return;
    }
    if (name == "openapi") {
        task.kind = TaskKind::call_openapi;
        if (!node.has("with")) error(node.pointer, "'call: openapi' needs 'with'");
        else call_openapi(task, node.at("with"), body);
        return;
    }
    if (name.starts_with("http://") || name.starts_with("https://")) {
        error(what.pointer, "functions are not fetched by URL: declare it in use.functions", "unsupported");
        return;
    }
    if (const auto at = name.find('@'); at != std::string::npos) {
        if (name.substr(at) != "@default") {
            error(what.pointer, fmt::format("the catalog '{}' is not supported: only @default is", name.substr(at + 1)), "unsupported");
            return;
        }
        name = name.substr(0, std::min(at, name.find(':')));
        task.target = name;
    }
    if (doc.functions.contains(name)) {
        task.kind = TaskKind::call_function;
        if (node.has("with")) task.body = templated(node.at("with"), body);
        else task.body.kind = Template::Kind::object;
        if (!node.has("with")) task.body.expression = -2;  // no arguments: the function gets the task's input
        return;
    }
    call_activity(task, node, body);
}

void Reader::call_activity(Task& task, const Node& node, const Names& body)
{
    task.kind = TaskKind::call_activity;
    const Node what = node.at("call");
    const Activity* activity = find_activity(task.target);
    if (activity == nullptr) {
        std::vector<std::string> names = activity_names();
        names.emplace_back("http");
        for (const auto& [name, number] : doc.functions) names.push_back(name);
        error(what.pointer, fmt::format("there is no function or activity '{}'{}", task.target, did_you_mean(task.target, names)), "unknown-call");
        return;
    }
    const Node with = node.at("with");
    task.body = node.has("with") ? templated(with, body) : Template{};
    if (!node.has("with")) task.body.constant = Json::object();
    const Json& properties = activity->with["properties"];
    if (task.body.kind == Template::Kind::expression) return;  // known when it runs
    std::vector<std::string> names;
    for (const auto& [key, schema] : properties.as_object()) names.push_back(key);
    const std::string label = fmt::format("'{}'", task.target);
    const Json given = node.has("with") ? *with.value : Json::object();
    for (const auto& [key, value] : given.as_object()) {
        const std::string place = with.at(key).pointer;
        if (!properties.contains(key)) {
            error(place, fmt::format("{} has no argument '{}'{}", label, key, did_you_mean(key, names)), "argument");
            continue;
        }
        Template constant;
        const Template* member = &constant;
        for (const auto& [name, child] : task.body.members)
            if (name == key) member = &child;
        if (member == &constant) constant.constant = value;
        certain_mistakes(properties[key], *member, place, [&, &key = key](const std::string& at, const std::string& mistake) {
            error(at, fmt::format("the argument '{}' of {} is wrong: {}", key, label, mistake), "argument");
        });
    }
    for (const Json& required : activity->with["required"].as_array())
        if (!given.contains(required.as_string())) error(node.has("with") ? with.pointer : node.pointer, fmt::format("{} needs the argument '{}'", label, required.as_string()), "argument");
}

void Reader::call_http(Task& task, const Node& with, const Names& body)
{
    if (!keys(with, "'call: http'", {"method", "endpoint", "headers", "query", "body", "output", "redirect"})) return;
    require(with, "'call: http'", {"method", "endpoint"});
    if (with.has("method") && text(with.at("method"), "'method'")) {
        std::string method = with.at("method").value->as_string();
        std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        static const std::vector<std::string> kMethods = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"};
        if (!method.starts_with("${") && std::find(kMethods.begin(), kMethods.end(), method) == kMethods.end())
            error(with.at("method").pointer, fmt::format("the method '{}' is not known{}", method, did_you_mean(method, kMethods)));
    }
    const Node endpoint = with.at("endpoint");
    if (with.has("endpoint") && endpoint.value->is_object()) {
        if (keys(endpoint, "an endpoint", {"uri", "authentication"}) && require(endpoint, "an endpoint", {"uri"})) text(endpoint.at("uri"), "'uri'");
        if (endpoint.has("authentication")) authentication(endpoint.at("authentication"));
    } else if (with.has("endpoint")) {
        text(endpoint, "'endpoint'");
    }
    for (const char* key : {"headers", "query"})
        if (with.has(key) && !with.at(key).value->is_string()) object(with.at(key), fmt::format("'{}'", key));
    if (with.has("output")) {
        const std::string& output = with.at("output").value->as_string();
        if (output != "raw" && output != "content" && output != "response") error(with.at("output").pointer, "'output' is raw, content or response");
    }
    if (with.has("redirect") && !with.at("redirect").value->is_bool()) error(with.at("redirect").pointer, "'redirect' is true or false");
    task.body = templated(with, body);
    for (const auto& [key, member] : task.body.members)
        if (key == "endpoint") task.endpoint_is_expression = member.kind == Template::Kind::expression;
}

void Reader::call_openapi(Task& task, const Node& with, const Names& body)
{
    if (!keys(with, "'call: openapi'", {"document", "operationId", "parameters", "authentication", "output", "redirect"})) return;
    if (!require(with, "'call: openapi'", {"document", "operationId"})) return;
    text(with.at("operationId"), "'operationId'");
    if (with.has("authentication")) authentication(with.at("authentication"));
    if (with.has("parameters") && !with.at("parameters").value->is_string()) object(with.at("parameters"), "'parameters'");
    if (with.has("output")) {
        const std::string& output = with.at("output").value->as_string();
        if (output != "raw" && output != "content" && output != "response") error(with.at("output").pointer, "'output' is raw, content or response");
    }
    if (with.has("redirect") && !with.at("redirect").value->is_bool()) error(with.at("redirect").pointer, "'redirect' is true or false");
    const Node document = with.at("document");
    if (!keys(document, "'document'", {"endpoint", "name"}) || !require(document, "'document'", {"endpoint"})) return;
    const Node endpoint = document.at("endpoint");
    if (endpoint.value->is_object()) {
        if (keys(endpoint, "an endpoint", {"uri", "authentication"})) require(endpoint, "an endpoint", {"uri"});
        if (endpoint.has("authentication")) authentication(endpoint.at("authentication"));
    }
    task.body = templated(with, body);
    const std::string uri = endpoint.value->is_object() ? endpoint.at("uri").value->as_string() : endpoint.value->as_string();
    if (!uri.starts_with("package:///")) return;
    const std::string* bytes = assets_ ? assets_(std::string_view(uri).substr(11)) : nullptr;
    if (bytes == nullptr) {
        error(endpoint.pointer, fmt::format("the package has no file '{}'", uri.substr(11)), "missing-file");
        return;
    }
    const Result<Json> parsed = parse_openapi(*bytes);
    if (!parsed) {
        error(endpoint.pointer, parsed.error().what);
        return;
    }
    const std::string& operation = with.at("operationId").value->as_string();
    if (const auto request = openapi_request(*parsed, "http://localhost/", operation, Json::object()); !request && request.error().code == Errc::not_found)
        error(with.at("operationId").pointer, request.error().what);
}

void Reader::run(Task& task, const Node& node, const Names& body)
{
    task.kind = TaskKind::run_shell;
    if (!object(node, "'run'")) return;
    if (node.has("container")) {
        error(node.at("container").pointer, "'run.container' is not supported: use run.shell or run.script, in the job's sandbox", "unsupported");
        return;
    }
    if (!keys(node, "'run'", {"container", "script", "shell", "workflow", "await", "return"})) return;
    if (node.has("await")) {
        if (!node.at("await").value->is_bool()) error(node.at("await").pointer, "'await' is true or false");
        task.await = node.at("await").value->as_bool();
    }
    task.returns = node.has("return") ? node.at("return").value->as_string() : "stdout";
    if (node.has("return") && task.returns != "stdout" && task.returns != "stderr" && task.returns != "code" && task.returns != "all" && task.returns != "none")
        error(node.at("return").pointer, "'return' is stdout, stderr, code, all or none");
    const int kinds = int(node.has("script")) + int(node.has("shell")) + int(node.has("workflow"));
    if (kinds != 1) {
        error(node.pointer, "'run' has exactly one of script, shell, workflow");
        return;
    }
    const auto arguments = [&](const Node& of) {
        if (of.has("arguments") && !of.at("arguments").value->is_object() && !of.at("arguments").value->is_array() && !of.at("arguments").value->is_string())
            error(of.at("arguments").pointer, "'arguments' is an object or a list");
        if (of.has("environment") && !of.at("environment").value->is_string()) object(of.at("environment"), "'environment'");
    };
    if (node.has("shell")) {
        const Node shell = node.at("shell");
        if (!keys(shell, "'shell'", {"command", "arguments", "environment", "stdin"}) || !require(shell, "'shell'", {"command"})) return;
        text(shell.at("command"), "'command'");
        if (const std::string& command = shell.at("command").value->as_string(); !braced(command) && foreign_to_shells(command)) not_evaluated(shell.at("command"));
        arguments(shell);
        for (const char* key : {"arguments", "environment", "stdin"})  // no shell sees these
            if (shell.has(key)) texts_not_evaluated(shell.at(key));
        task.body = templated(shell, body, true);
    } else if (node.has("script")) {
        task.kind = TaskKind::run_script;
        const Node script = node.at("script");
        if (!keys(script, "'script'", {"language", "code", "source", "arguments", "environment", "stdin"}) || !require(script, "'script'", {"language"})) return;
        std::string language = script.at("language").value->as_string();
        if (language == "javascript") language = "js";
        if (language != "js" && language != "python") error(script.at("language").pointer, fmt::format("the script language '{}' is not supported: js and python are", language), "unsupported");
        task.target = language;
        arguments(script);
        if (script.has("code") == script.has("source")) {
            error(script.pointer, "'script' has either 'code' or 'source'");
            return;
        }
        Json copy = *script.value;
        if (script.has("source")) {
            const Json& endpoint = (*script.at("source").value)["endpoint"];
            const std::string uri = endpoint.is_string() ? endpoint.as_string() : endpoint["uri"].as_string();
            const std::string* bytes = uri.starts_with("package:///") && assets_ ? assets_(std::string_view(uri).substr(11)) : nullptr;
            if (bytes == nullptr) {
                error(script.at("source").pointer, "'source.endpoint' must be a file of the package (package:///scripts/x.py)", "missing-file");
                return;
            }
            task.definition_code = *bytes;
            copy.erase("source");
        } else if (text(script.at("code"), "'code'")) {
            task.definition_code = script.at("code").value->as_string();
            copy.erase("code");
        }
        copy.erase("language");
        task.body = templated({&copy, script.pointer}, body);
    } else {
        task.kind = TaskKind::run_workflow;
        const Node flow = node.at("workflow");
        if (!keys(flow, "'workflow'", {"namespace", "name", "version", "input"}) || !require(flow, "'workflow'", {"namespace", "name", "version"})) return;
        for (const char* key : {"namespace", "name", "version"}) text(flow.at(key), key);
        task.target = fmt::format("{}/{}/{}", flow.at("namespace").value->as_string(), flow.at("name").value->as_string(), flow.at("version").value->as_string());
        if (flow.has("input")) task.body = templated(flow.at("input"), body);
        else task.body.expression = -2;  // its input is the task's
    }
}

}  // namespace mill::workflows
