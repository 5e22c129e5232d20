#include "workflows/loader.h"

#include <algorithm>
#include <regex>

#include "platform/base/nearest.h"
#include "platform/base/text.h"
#include "workflows/duration.h"
#include "workflows/expression.h"
#include "workflows/reader.h"
#include "workflows/schema.h"

namespace mill::workflows {
namespace {

const Json kNull;

std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// The inside of `${ … }`, when the whole text is one.
std::optional<std::string_view> braced(std::string_view text)
{
    text = trimmed(text);
    if (!text.starts_with("${") || !text.ends_with("}")) return std::nullopt;
    return text.substr(2, text.size() - 3);
}

bool dns_label(const std::string& text)
{
    static const std::regex kLabel("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?");
    return std::regex_match(text, kLabel);
}

bool semantic_version(const std::string& text)
{
    static const std::regex kVersion(R"((0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z.-]{1,80})?(\+[0-9A-Za-z.-]{1,80})?)");
    return text.size() < 200 && std::regex_match(text, kVersion);
}

}  // namespace

Node Node::at(std::string_view key) const
{
    const Json* found = value->find(key);
    return {found == nullptr ? &kNull : found, pointer + "/" + escape_pointer(key)};
}

Node Node::at(std::size_t index) const { return {&(*value)[index], fmt::format("{}/{}", pointer, index)}; }

bool Reader::error(const std::string& pointer, std::string text)
{
    YamlDocument places;  // the lookup of the nearest parent lives there
    places.marks.swap(doc.marks);
    findings_.push_back({Finding::Level::error, file_, places.mark(pointer), std::move(text)});
    places.marks.swap(doc.marks);
    return false;
}

void Reader::warning(const std::string& pointer, std::string text)
{
    error(pointer, std::move(text));
    findings_.back().level = Finding::Level::warning;
}

bool Reader::object(const Node& node, std::string_view what)
{
    if (node.value->is_object()) return true;
    return error(node.pointer, fmt::format("{} must be an object, not {}", what, node.value->kind_name()));
}

bool Reader::text(const Node& node, std::string_view what)
{
    if (node.value->is_string()) return true;
    return error(node.pointer, fmt::format("{} must be a string, not {}", what, node.value->kind_name()));
}

bool Reader::keys(const Node& node, std::string_view what, std::initializer_list<std::string_view> allowed)
{
    if (!object(node, what)) return false;
    bool fine = true;
    for (const auto& [key, member] : node.value->as_object()) {
        if (std::find(allowed.begin(), allowed.end(), key) != allowed.end()) continue;
        fine = error(node.at(key).pointer, fmt::format("{} has no '{}'{}", what, key, did_you_mean(key, {allowed.begin(), allowed.end()})));
    }
    return fine;
}

bool Reader::require(const Node& node, std::string_view what, std::initializer_list<std::string_view> names)
{
    bool fine = true;
    for (const std::string_view name : names)
        if (!node.has(name)) fine = error(node.pointer, fmt::format("{} needs '{}'", what, name));
    return fine;
}

int Reader::add_expression(std::string_view text, const Node& node, const Names& scope)
{
    Expression made;
    made.text = std::string(trimmed(text));
    made.pointer = node.pointer;
    if (const auto place = doc.marks.find(node.pointer); place != doc.marks.end()) made.mark = place->second;
    if (text.size() > 20'000) {
        error(node.pointer, "an expression is longer than 20,000 characters");
        return -1;
    }
    if (const Status ok = prepare(made, scope); !ok) {
        error(node.pointer, fmt::format("expression '{}': {}", made.text.substr(0, 100), ok.error().what));
        return -1;
    }
    secrets_of(made.text, node);
    doc.expressions.push_back(std::move(made));
    return static_cast<int>(doc.expressions.size()) - 1;
}

void Reader::secrets_of(std::string_view text, const Node& node)
{
    for (std::size_t at = text.find("$secrets"); at != std::string_view::npos; at = text.find("$secrets", at + 1)) {
        std::size_t end = at + 8;
        while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_' || text[end] == '.')) ++end;
        if (end < text.size() && text[end] == '[') {
            const std::size_t close = text.find(']', end);
            end = close == std::string_view::npos ? end : close + 1;
            while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_' || text[end] == '.')) ++end;
        }
        const auto path = parse_plain_path(text.substr(at, end - at));
        if (!path || path->root != "secrets") continue;
        if (path->steps.size() != 2 || !std::holds_alternative<std::string>(path->steps[0]) || !std::holds_alternative<std::string>(path->steps[1])) {
            error(node.pointer, "a secret is used as $secrets.NAME.FIELD, such as $secrets.erp.password");
            continue;
        }
        const auto& name = std::get<std::string>(path->steps[0]);
        if (std::find(doc.secrets.begin(), doc.secrets.end(), name) == doc.secrets.end())
            error(node.pointer, fmt::format("the secret '{}' is not declared in use.secrets{}", name, did_you_mean(name, doc.secrets)));
        doc.secret_fields[name].insert(std::get<std::string>(path->steps[1]));
    }
}

int Reader::expression(const Node& node, const Names& scope)
{
    if (node.value->is_bool() || node.value->is_number()) return add_expression(dump_json(*node.value), node, scope);
    if (!node.value->is_string()) {
        error(node.pointer, fmt::format("an expression must be a string, not {}", node.value->kind_name()));
        return -1;
    }
    return add_expression(braced(node.value->as_string()).value_or(node.value->as_string()), node, scope);
}

Template Reader::templated(const Node& node, const Names& scope, bool quiet)
{
    Template out;
    const Json& value = *node.value;
    if (value.is_string()) {
        if (const auto inner = braced(value.as_string())) {
            out.kind = Template::Kind::expression;
            out.expression = add_expression(*inner, node, scope);
            return out;
        }
        const std::string& text = value.as_string();
        if (const auto at = text.find("${"); !quiet && at != std::string::npos) {
            const auto end = text.find('}', at);
            const std::string inner(trimmed(std::string_view(text).substr(at + 2, end == std::string::npos ? 0 : end - at - 2)));
            warning(node.pointer, fmt::format("'${{…}}' inside a text is not evaluated; write '${{ \"{}\\({}){}\" }}'", text.substr(0, at), inner,
                                              end == std::string::npos ? "" : text.substr(end + 1)));
        }
    }
    bool constant = true;
    if (value.is_object()) {
        out.kind = Template::Kind::object;
        for (const auto& [key, member] : value.as_object()) {
            out.members.push_back({key, templated(node.at(key), scope, quiet)});
            constant = constant && out.members.back().value.kind == Template::Kind::constant;
        }
    } else if (value.is_array()) {
        out.kind = Template::Kind::array;
        for (std::size_t i = 0; i < value.size(); ++i) {
            out.items.push_back(templated(node.at(i), scope, quiet));
            constant = constant && out.items.back().kind == Template::Kind::constant;
        }
    }
    if (!constant) return out;
    out = {};
    out.constant = value;
    return out;
}

std::optional<DurationSpec> Reader::duration(const Node& node, const Names& scope)
{
    DurationSpec out;
    out.value = templated(node, scope);
    if (out.value.kind != Template::Kind::constant) return out;
    const Result<Milliseconds> fixed = duration_of(*node.value);
    if (!fixed) {
        error(node.pointer, fixed.error().what);
        return std::nullopt;
    }
    out.fixed = *fixed;
    return out;
}

std::optional<DurationSpec> Reader::timeout(const Node& node, const Names& scope)
{
    if (node.value->is_string()) {
        const Node named = use_ ? use_.at("timeouts") : Node{&kNull, ""};
        if (!named.value->contains(node.value->as_string())) {
            error(node.pointer, fmt::format("the timeout '{}' is not declared in use.timeouts", node.value->as_string()));
            return std::nullopt;
        }
        return timeout(named.at(node.value->as_string()), scope);
    }
    if (!keys(node, "a timeout", {"after"}) || !require(node, "a timeout", {"after"})) return std::nullopt;
    return duration(node.at("after"), scope);
}

std::shared_ptr<const Schema> Reader::schema(const Node& node, Json& document)
{
    if (!keys(node, "a schema", {"format", "document", "resource"})) return nullptr;
    if (node.has("format") && node.at("format").value->as_string() != "json" && !node.at("format").value->as_string().starts_with("json:")) {
        error(node.pointer + "/format", fmt::format("the schema format '{}' is not supported: use json", node.at("format").value->as_string()));
        return nullptr;
    }
    std::string where = node.pointer + "/document";
    if (node.has("document")) {
        document = *node.at("document").value;
    } else if (node.has("resource")) {
        const Json& endpoint = (*node.at("resource").value)["endpoint"];
        const std::string uri = endpoint.is_string() ? endpoint.as_string() : endpoint["uri"].as_string();
        where = node.pointer + "/resource";
        if (!uri.starts_with("package:///")) {
            error(where, "a schema's resource must be a file of the package (package:///schemas/x.json)");
            return nullptr;
        }
        const std::string* bytes = assets_ ? assets_(std::string_view(uri).substr(11)) : nullptr;
        if (bytes == nullptr) {
            error(where, fmt::format("the package has no file '{}'", uri.substr(11)));
            return nullptr;
        }
        if (uri.ends_with(".json")) {
            Result<Json> parsed = parse_json(*bytes);
            if (parsed) document = std::move(*parsed);
            else error(where, fmt::format("{}: {}", uri, parsed.error().what));
        } else {
            Result<YamlDocument> parsed = parse_yaml(*bytes);
            if (parsed) document = std::move(parsed->value);
            else error(where, fmt::format("{}: {}", uri, parsed.error().what));
        }
    } else {
        error(node.pointer, "a schema needs 'document' or 'resource'");
        return nullptr;
    }
    Result<std::shared_ptr<const Schema>> compiled = compile_schema(document);
    if (compiled) return *compiled;
    error(where, compiled.error().what);
    return nullptr;
}

DataFilter Reader::filter(const Node& node, std::string_view what, std::string_view shape_key, const Names& scope)
{
    DataFilter out;
    if (!keys(node, what, {"schema", shape_key})) return out;
    if (node.has("schema")) out.schema = schema(node.at("schema"), out.schema_document);
    if (!node.has(shape_key)) return out;
    const Node shape = node.at(shape_key);
    if (shape.value->is_string()) {
        Template made;
        made.kind = Template::Kind::expression;
        made.expression = expression(shape, scope);
        out.shape = std::move(made);
    } else {
        out.shape = templated(shape, scope);
    }
    return out;
}

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
    if (!dsl.empty() && (!semantic_version(dsl) || !dsl.starts_with("1.0.")))
        error(node.at("dsl").pointer, fmt::format("the DSL version '{}' is not supported: 1.0.0 to 1.0.3 are", dsl));
    if (!doc.ns.empty() && !dns_label(doc.ns)) error(node.at("namespace").pointer, fmt::format("the namespace '{}' is no DNS label (a-z, 0-9, -)", doc.ns));
    if (!doc.name.empty() && !dns_label(doc.name)) error(node.at("name").pointer, fmt::format("the name '{}' is no DNS label (a-z, 0-9, -)", doc.name));
    if (!doc.version.empty() && !semantic_version(doc.version))
        error(node.at("version").pointer, fmt::format("the version '{}' is no semantic version such as 1.0.0", doc.version));
}

void Reader::schedule(const Node& node)
{
    if (node.has("on")) error(node.at("on").pointer, "'schedule.on' is not supported: use a Trigger of the factory");
    if (!keys(node, "schedule", {"every", "cron", "after", "on"})) return;
    if (node.value->size() != 1) error(node.pointer, "schedule has exactly one of every, cron, after");
    for (const char* key : {"every", "after"})
        if (node.has(key)) duration(node.at(key), {});
    if (node.has("cron")) text(node.at("cron"), "schedule.cron");
    doc.schedule = *node.value;
}

void Reader::use(const Node& node)
{
    use_ = node;
    if (node.has("catalogs")) error(node.at("catalogs").pointer, "'use.catalogs' is not supported: put functions into use.functions");
    if (node.has("extensions")) error(node.at("extensions").pointer, "'use.extensions' is not supported");
    if (!keys(node, "use", {"authentications", "catalogs", "errors", "extensions", "functions", "retries", "secrets", "timeouts"})) {
        if (!node.value->is_object()) use_ = {};
        if (!use_) return;
    }
    for (const char* key : {"authentications", "errors", "functions", "retries", "timeouts"})
        if (node.has(key)) object(node.at(key), fmt::format("use.{}", key));
    const Node secrets = node.at("secrets");
    if (node.has("secrets") && !secrets.value->is_array()) error(secrets.pointer, "use.secrets must be a list of names");
    for (std::size_t i = 0; i < secrets.value->size() && secrets.value->is_array(); ++i)
        if (text(secrets.at(i), "a secret's name")) doc.secrets.push_back(secrets.at(i).value->as_string());
    static const Names kBody = {"context", "input", "secrets", "workflow", "task", "runtime", "authorization"};
    const Node timeouts = node.at("timeouts"), logins = node.at("authentications"), retries = node.at("retries");
    for (const auto& [name, value] : timeouts.value->as_object())
        if (!value.is_string()) timeout(timeouts.at(name), kBody);
        else error(timeouts.at(name).pointer, "a timeout is an object {after: duration}");
    for (const auto& [name, value] : logins.value->as_object()) {
        authentication(logins.at(name), kBody);
        doc.authentications[name] = templated(logins.at(name), kBody);
    }
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
        if (node.has("mode") && *node.at("mode").value != Json("strict")) error(node.at("mode").pointer, "evaluate.mode 'loose' is not supported: write ${ } around expressions");
    }
    const Names at_start = {"secrets", "workflow", "runtime"}, at_end = {"context", "secrets", "workflow", "runtime"};
    if (root.has("use")) use(root.at("use"));
    if (root.has("input")) doc.input = filter(root.at("input"), "input", "from", at_start);
    if (root.has("output")) doc.output = filter(root.at("output"), "output", "as", at_end);
    if (root.has("timeout")) doc.timeout = timeout(root.at("timeout"), at_start);
    if (root.has("schedule")) schedule(root.at("schedule"));
    doc.main = task_list(root.at("do"), {});
}

std::shared_ptr<Document> load_document(std::string_view text, const std::string& file, const AssetLookup& assets, std::vector<Finding>& findings)
{
    auto out = std::make_shared<Document>();
    out->file = file;
    Result<YamlDocument> yaml = parse_yaml(text);
    if (!yaml) {  // "LINE:COLUMN: message"
        Finding finding{Finding::Level::error, file, {}, yaml.error().what};
        if (std::sscanf(yaml.error().what.c_str(), "%d:%d:", &finding.mark.line, &finding.mark.column) == 2)
            finding.text = yaml.error().what.substr(yaml.error().what.find(": ") + 2);
        findings.push_back(std::move(finding));
        return out;
    }
    out->marks = std::move(yaml->marks);
    Reader reader(*out, file, assets, findings);
    reader.document({&yaml->value, ""});
    return out;
}

}  // namespace mill::workflows
