#include "workflows/loader.h"

#include <algorithm>

#include "platform/base/nearest.h"
#include "platform/base/text.h"
#include "workflows/duration.h"
#include "workflows/expression.h"
#include "workflows/jq_text.h"
#include "workflows/place.h"
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

}  // namespace

std::optional<std::string_view> braced(std::string_view text)
{
    text = trimmed(text);
    if (!text.starts_with("${") || !text.ends_with("}")) return std::nullopt;
    return text.substr(2, text.size() - 3);
}

Node Node::at(std::string_view key) const
{
    const Json* found = value->find(key);
    return {found == nullptr ? &kNull : found, pointer + "/" + escape_pointer(key)};
}

Node Node::at(std::size_t index) const { return {&(*value)[index], fmt::format("{}/{}", pointer, index)}; }

bool Reader::error(const std::string& pointer, std::string text, std::string_view code)
{
    findings_.push_back({Finding::Level::error, file_, nearest_mark(doc.marks, pointer), std::move(text), std::string(code)});
    return false;
}

void Reader::warning(const std::string& pointer, std::string text, std::string_view code)
{
    error(pointer, std::move(text), code);
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
        fine = error(node.at(key).pointer, fmt::format("{} has no '{}'{}", what, key, did_you_mean(key, {allowed.begin(), allowed.end()})), "unknown-key");
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
    if (const auto mark = doc.marks.find(node.pointer); mark != doc.marks.end()) made.mark = mark->second;
    if (text.size() > 20'000) {
        error(node.pointer, "an expression is longer than 20,000 characters", "expression");
        return -1;
    }
    ExpressionPlace place;
    if (const Status ok = prepare(made, scope, &place); !ok) {
        error(node.pointer, fmt::format("expression '{}': {}", made.text.substr(0, 100), ok.error().what), place.code);
        findings_.back().mark = place_inside(text_of_file, findings_.back().mark, made.text, place.offset);
        return -1;
    }
    secrets_of(made.text, node);
    doc.expressions.push_back(std::move(made));
    return static_cast<int>(doc.expressions.size()) - 1;
}

void Reader::secrets_of(std::string_view text, const Node& node)
{
    for (const PlainPath& path : secret_paths(text)) {
        if (path.steps.size() != 2 || !std::holds_alternative<std::string>(path.steps[0]) || !std::holds_alternative<std::string>(path.steps[1])) {
            error(node.pointer, "a secret is used as $secrets.NAME.FIELD, such as $secrets.erp.password");
            continue;
        }
        const auto& name = std::get<std::string>(path.steps[0]);
        if (std::find(doc.secrets.begin(), doc.secrets.end(), name) == doc.secrets.end())
            error(node.pointer, fmt::format("the secret '{}' is not declared in use.secrets{}", name, did_you_mean(name, doc.secrets)), "undeclared");
        doc.secret_fields[name].insert(std::get<std::string>(path.steps[1]));
    }
}

int Reader::expression(const Node& node, const Names& scope)
{
    if (node.value->is_bool() || node.value->is_number()) return add_expression(dump_json(*node.value), node, scope);
    if (!node.value->is_string()) {
        error(node.pointer, fmt::format("an expression must be a string, not {}", node.value->kind_name()), "expression");
        return -1;
    }
    return add_expression(braced(node.value->as_string()).value_or(node.value->as_string()), node, scope);
}

void Reader::not_evaluated(const Node& node)
{
    constexpr std::size_t kShown = 200;
    std::optional<std::string> works = interpolated(node.value->as_string());
    if (!works || works->size() > kShown) works = R"("text \(.x) text")";
    for (std::size_t at = 0; (at = works->find('\'', at)) != std::string::npos; at += 2) works->insert(at, 1, '\'');  // as YAML's single quotes have it
    warning(node.pointer, fmt::format("'${{…}}' inside a text is not evaluated; write '${{ {} }}'", *works), "interpolation");
}

void Reader::texts_not_evaluated(const Node& node)
{
    if (node.value->is_string() && !braced(node.value->as_string()) && node.value->as_string().find("${") != std::string::npos) not_evaluated(node);
    if (node.value->is_object())
        for (const auto& [key, member] : node.value->as_object()) texts_not_evaluated(node.at(key));
    for (std::size_t i = 0; node.value->is_array() && i < node.value->size(); ++i) texts_not_evaluated(node.at(i));
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
        if (!quiet && text.find("${") != std::string::npos) not_evaluated(node);
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
            error(node.pointer, fmt::format("the timeout '{}' is not declared in use.timeouts", node.value->as_string()), "undeclared");
            return std::nullopt;
        }
        const Node policy = named.at(node.value->as_string());
        if (policy.value->is_string()) return std::nullopt;  // use.timeouts says that it is a mistake; a name could name itself
        return timeout(policy, scope);
    }
    if (!keys(node, "a timeout", {"after"}) || !require(node, "a timeout", {"after"})) return std::nullopt;
    return duration(node.at("after"), scope);
}

std::shared_ptr<const Schema> Reader::schema(const Node& node, Json& document)
{
    if (!keys(node, "a schema", {"format", "document", "resource"})) return nullptr;
    if (node.has("format") && node.at("format").value->as_string() != "json" && !node.at("format").value->as_string().starts_with("json:")) {
        error(node.pointer + "/format", fmt::format("the schema format '{}' is not supported: use json", node.at("format").value->as_string()), "unsupported");
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
            error(where, "a schema's resource must be a file of the package (package:///schemas/x.json)", "missing-file");
            return nullptr;
        }
        const std::string* bytes = assets_ ? assets_(std::string_view(uri).substr(11)) : nullptr;
        if (bytes == nullptr) {
            error(where, fmt::format("the package has no file '{}'", uri.substr(11)), "missing-file");
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
        error(node.pointer, "a schema needs 'document' or 'resource'", "schema");
        return nullptr;
    }
    Result<std::shared_ptr<const Schema>> compiled = compile_schema(document);
    if (compiled) return *compiled;
    error(where, compiled.error().what, "schema");
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

std::shared_ptr<Document> load_document(std::string_view text, const std::string& file, const AssetLookup& assets, std::vector<Finding>& findings)
{
    auto out = std::make_shared<Document>();
    out->file = file;
    Result<YamlDocument> yaml = parse_yaml(text);
    if (!yaml) {  // "LINE:COLUMN: message"
        Finding finding{Finding::Level::error, file, {}, yaml.error().what, "yaml"};
        if (std::sscanf(yaml.error().what.c_str(), "%d:%d:", &finding.mark.line, &finding.mark.column) == 2)
            finding.text = yaml.error().what.substr(yaml.error().what.find(": ") + 2);
        findings.push_back(std::move(finding));
        return out;
    }
    out->marks = std::move(yaml->marks);
    Reader reader(*out, file, assets, findings);
    reader.text_of_file = text;
    reader.document({&yaml->value, ""});
    return out;
}

}  // namespace mill::workflows
