#include <algorithm>

#include "platform/base/nearest.h"
#include "workflows/cron.h"
#include "workflows/manifest.h"
#include "workflows/reader.h"

namespace mill::workflows {

void Reader::header(const Node& node)
{
    if (!keys(node, "document", {"dsl", "namespace", "name", "version", "title", "summary", "tags", "metadata"})) return;
    require(node, "document", {"dsl", "namespace", "name", "version"});
    for (const char* key : {"dsl", "namespace", "name", "version", "title", "summary"})
        if (node.has(key)) text(node.at(key), fmt::format("document.{}", key));
    if (node.has("metadata")) object(node.at("metadata"), "metadata");
    if (node.has("tags")) object(node.at("tags"), "document.tags");
    doc.ns = (*node.value)["namespace"].as_string();
    doc.name = (*node.value)["name"].as_string();
    doc.version = (*node.value)["version"].as_string();
    doc.title = (*node.value)["title"].as_string();
    const std::string& dsl = (*node.value)["dsl"].as_string();
    const bool known = dsl == "1.0.0" || dsl == "1.0.1" || dsl == "1.0.2" || dsl == "1.0.3" || (dsl.starts_with("1.0.0-") && is_semantic_version(dsl));
    if (!dsl.empty() && !known)
        error(node.at("dsl").pointer, fmt::format("the DSL version '{}' is not supported: 1.0.0 to 1.0.3 are", dsl), "unsupported");
    if (!doc.ns.empty() && !is_document_name(doc.ns)) error(node.at("namespace").pointer, fmt::format("the namespace '{}' is no name: letters, digits and '-' between them, at most 63", doc.ns));
    if (!doc.name.empty() && !is_document_name(doc.name)) error(node.at("name").pointer, fmt::format("the name '{}' is no name: letters, digits and '-' between them, at most 63", doc.name));
    if (!doc.version.empty() && !is_semantic_version(doc.version))
        error(node.at("version").pointer, fmt::format("the version '{}' is no semantic version such as 1.0.0", doc.version));
}

/// A proposal: the manifest carries it, and only a Trigger of the factory fires.
void Reader::schedule(const Node& node)
{
    if (!keys(node, "schedule", {"every", "cron", "after", "on"})) return;
    if (node.has("on")) error(node.at("on").pointer, "'schedule.on' is not supported: use a Trigger of the factory", "unsupported");
    if (node.value->size() != 1) error(node.pointer, "schedule has exactly one of every, cron, after");
    for (const char* key : {"every", "after"}) {
        if (!node.has(key)) continue;
        const std::optional<DurationSpec> length = duration(node.at(key), {});
        if (length && !length->fixed) error(node.at(key).pointer, fmt::format("schedule.{} is a duration: there is no data for an expression", key));
        if (length && length->fixed && length->fixed->count() == 0) error(node.at(key).pointer, fmt::format("schedule.{} is longer than nothing", key));
    }
    if (node.has("cron") && text(node.at("cron"), "schedule.cron"))
        if (const Status fine = check_cron(node.at("cron").value->as_string()); !fine) error(node.at("cron").pointer, fine.error().what);
    doc.schedule = *node.value;
}

void Reader::use(const Node& node)
{
    use_ = node;
    if (node.has("catalogs")) error(node.at("catalogs").pointer, "'use.catalogs' is not supported: put functions into use.functions", "unsupported");
    if (node.has("extensions")) error(node.at("extensions").pointer, "'use.extensions' is not supported: write their tasks where they are needed, or as a function", "unsupported");
    if (!keys(node, "use", {"authentications", "catalogs", "errors", "extensions", "functions", "retries", "secrets", "timeouts"})) {
        if (!node.value->is_object()) use_ = {};
        if (!use_) return;
    }
    for (const char* key : {"authentications", "errors", "functions", "retries", "timeouts"})
        if (node.has(key)) object(node.at(key), fmt::format("use.{}", key));
    const Node secrets = node.at("secrets");
    if (node.has("secrets") && !secrets.value->is_array()) error(secrets.pointer, "use.secrets must be a list of names");
    for (std::size_t i = 0; i < secrets.value->size() && secrets.value->is_array(); ++i)
        if (text(secrets.at(i), "a secret's name")) {
            if (std::find(doc.secrets.begin(), doc.secrets.end(), secrets.at(i).value->as_string()) != doc.secrets.end())
                error(secrets.at(i).pointer, fmt::format("the secret '{}' is declared twice", secrets.at(i).value->as_string()));
            doc.secrets.push_back(secrets.at(i).value->as_string());
        }
    static const Names kBody = {"context", "input", "secrets", "workflow", "task", "runtime", "authorization"};
    const Node timeouts = node.at("timeouts"), logins = node.at("authentications"), retries = node.at("retries");
    for (const auto& [name, value] : timeouts.value->as_object())
        if (!value.is_string()) timeout(timeouts.at(name), kBody);
        else error(timeouts.at(name).pointer, "a timeout is an object {after: duration}");
    for (const auto& [name, value] : logins.value->as_object()) {
        if (value.is_object() && value.contains("use") && value["use"].is_string() && logins.has(value["use"].as_string()))
            error(logins.at(name).at("use").pointer, "'use' in use.authentications names a secret of use.secrets, not another authentication");
        else authentication(logins.at(name));
        doc.authentications[name] = templated(logins.at(name), kBody);
    }
    const Node errors = node.at("errors");
    for (const auto& [name, value] : errors.value->as_object()) error_definition(errors.at(name), kBody);
    Names with_error = kBody;
    with_error.emplace_back("error");
    for (const auto& [name, value] : retries.value->as_object()) retry(retries.at(name), with_error);
    const Node functions = node.at("functions");
    for (const auto& [name, value] : functions.value->as_object()) doc.functions[name] = -1;  // known before bodies are read
    for (const auto& [name, value] : functions.value->as_object()) {
        doc.functions[name] = task(name, functions.at(name), {});
        if (doc.functions[name] >= 0 && doc.tasks[static_cast<std::size_t>(doc.functions[name])].then.kind == Directive::Kind::task)
            error(functions.at(name).pointer, "a function has no 'then' to another task");
    }
}

void Reader::document(const Node& root)
{
    doc.source = *root.value;
    if (!keys(root, "a workflow", {"document", "input", "output", "timeout", "evaluate", "schedule", "use", "do"}) && !root.value->is_object()) return;
    if (!require(root, "a workflow", {"document", "do"}) && !root.has("do")) return;
    if (root.has("document")) header(root.at("document"));
    if (root.has("evaluate")) {
        const Node node = root.at("evaluate");
        keys(node, "evaluate", {"language", "mode"});
        if (node.has("language") && *node.at("language").value != Json("jq")) error(node.at("language").pointer, "the expression language is jq; no other is supported");
        if (node.has("mode") && *node.at("mode").value != Json("strict")) error(node.at("mode").pointer, "evaluate.mode 'loose' is not supported: write ${ } around expressions", "unsupported");
    }
    const Names at_start = {"secrets", "workflow", "runtime"}, at_end = {"context", "secrets", "workflow", "runtime"};
    if (root.has("use")) use(root.at("use"));
    if (root.has("input")) doc.input = filter(root.at("input"), "input", "from", at_start);
    if (root.has("output")) doc.output = filter(root.at("output"), "output", "as", at_end);
    if (root.has("timeout")) doc.timeout = timeout(root.at("timeout"), at_start);
    if (root.has("schedule")) schedule(root.at("schedule"));
    doc.main = task_list(root.at("do"), {});
}

}  // namespace mill::workflows
