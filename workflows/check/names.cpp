// Names that are declared and not used, and names that are used and not declared.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "platform/base/nearest.h"
#include "platform/base/text.h"
#include "workflows/check/analysis.h"

namespace mill::workflows {
namespace {

using NameSet = std::set<std::string, std::less<>>;

/// What the tasks and `use:` of a document refer to by name.
struct Used {
    NameSet functions, errors, retries, timeouts, authentications_or_secrets;
};

void references(const Json& value, Used& used)
{
    for (const auto& [key, member] : value.as_object()) {
        if (key == "use" && member.is_string()) used.authentications_or_secrets.insert(member.as_string());
        if (key == "timeout" && member.is_string()) used.timeouts.insert(member.as_string());
        if (key == "retry" && member.is_string()) used.retries.insert(member.as_string());
        if (key == "raise" && member["error"].is_string()) used.errors.insert(member["error"].as_string());
        references(member, used);
    }
    for (const Json& item : value.as_array()) references(item, used);
}

void unused_in(Analysis& analysis, const Document& document)
{
    Used used;
    references(document.source, used);
    for (const Task& task : document.tasks)
        if (task.kind == TaskKind::call_function) used.functions.insert(task.target);
    const Json& use = document.source["use"];
    for (const auto& [kind, what, names] : {std::tuple{"functions", "function", &used.functions}, std::tuple{"errors", "error", &used.errors},
                                            std::tuple{"retries", "retry policy", &used.retries}, std::tuple{"timeouts", "timeout", &used.timeouts},
                                            std::tuple{"authentications", "authentication", &used.authentications_or_secrets}})
        for (const auto& [name, body] : use[kind].as_object())
            if (!names->contains(name)) analysis.warn("unused", document, fmt::format("/use/{}/{}", kind, escape_pointer(name)), fmt::format("the {} '{}' is not used", what, name));
    for (std::size_t i = 0; i < document.secrets.size(); ++i)
        if (!document.secret_fields.contains(document.secrets[i]) && !used.authentications_or_secrets.contains(document.secrets[i]))
            analysis.warn("unused", document, fmt::format("/use/secrets/{}", i), fmt::format("the secret '{}' is not used", document.secrets[i]));
}

/// The package's variables in a jq text: `$runtime.metadata.variables.NAME`, or all of them when the names cannot be told.
struct VariableUse {
    NameSet names;
    bool all = false;
};

void read_variables(std::string_view text, VariableUse& into)
{
    constexpr std::string_view kRoot = "$runtime", kPath = ".metadata.variables";
    const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
    for (std::size_t at = text.find(kRoot); at != std::string_view::npos; at = text.find(kRoot, at + 1)) {
        std::string_view rest = text.substr(at + kRoot.size());
        if (!rest.empty() && word(rest.front())) continue;  // another variable
        if (!rest.starts_with(kPath)) {
            into.all = into.all || (!rest.starts_with(".name") && !rest.starts_with(".version"));
            continue;
        }
        rest.remove_prefix(kPath.size());
        std::size_t end = 1;
        if (rest.size() > 1 && rest[0] == '.' && word(rest[1])) {
            while (end < rest.size() && word(rest[end])) ++end;
            into.names.emplace(rest.substr(1, end - 1));
        } else if (rest.starts_with("[\"") && rest.find("\"]") != std::string_view::npos) {
            into.names.emplace(rest.substr(2, rest.find("\"]") - 2));
        } else {
            into.all = true;
        }
    }
}

void variables_in(const Json& permissions, NameSet& names)
{
    if (permissions["variable"].is_string()) names.insert(permissions["variable"].as_string());
    for (const auto& [key, member] : permissions.as_object()) variables_in(member, names);
    for (const Json& item : permissions.as_array()) variables_in(item, names);
}

void check_variables(Analysis& analysis)
{
    const std::map<std::string, Variable>& declared = analysis.package.manifest.variables;
    std::vector<std::string> known;
    for (const auto& [name, variable] : declared) known.push_back(name);
    VariableUse used;
    for (const Document* document : analysis.documents)
        for (const Expression& expression : document->expressions) {
            VariableUse here;
            read_variables(expression.text, here);
            used.all = used.all || here.all;
            for (const std::string& name : here.names) {
                used.names.insert(name);
                if (!declared.contains(name))
                    analysis.warn("undeclared-variable", *document, expression.pointer,
                                  fmt::format("package.yaml declares no variable '{}': it is null{}", name, did_you_mean(name, known)));
            }
        }
    variables_in(analysis.package.manifest.asked, used.names);
    if (used.all || !analysis.complete()) return;
    for (const std::string& name : known)
        if (!used.names.contains(name)) analysis.warn_manifest("unused", "/variables/" + escape_pointer(name), fmt::format("the variable '{}' is not used", name));
}

/// Credentials of package.yaml against the secrets of the documents.
void check_credentials(Analysis& analysis)
{
    NameSet used;
    for (const Document* document : analysis.documents) used.insert(document->secrets.begin(), document->secrets.end());
    if (!analysis.complete()) return;
    for (const auto& [name, kind] : analysis.package.manifest.credentials)
        if (!used.contains(name))
            analysis.warn_manifest("unused", "/credentials/" + escape_pointer(name), fmt::format("the credential '{}' is not used: no workflow names it in use.secrets", name));
}

/// What the factory has to give cannot be given while it is away.
void check_offline(Analysis& analysis)
{
    const Manifest& manifest = analysis.package.manifest;
    if (manifest.offline && !manifest.permissions.credentials.empty())
        analysis.warn_manifest("offline", "/offline", "'offline' does nothing where a deployment binds these credentials: the factory gives them when a job begins");
}

/// A file that looks like a workflow, but that package.yaml does not name.
void check_files(Analysis& analysis)
{
    NameSet named;
    for (const auto& [name, file] : analysis.package.manifest.workflows) named.insert(file);
    for (const auto& [path, bytes] : analysis.package.assets) {
        if (!path.ends_with(".yaml") && !path.ends_with(".yml")) continue;
        if (named.contains(path) || path.starts_with("dependencies/") || bytes.size() > 1'000'000 || bytes.find("dsl:") == std::string::npos || bytes.find("do:") == std::string::npos) continue;
        const Result<YamlDocument> yaml = parse_yaml(bytes);
        if (!yaml || !yaml->value["document"]["dsl"].is_string() || !yaml->value["do"].is_array()) continue;
        analysis.warn_manifest("unused", "/workflows", fmt::format("'{}' is a workflow, but package.yaml does not name it: workflows: {{ NAME: {} }}", path, path));
    }
}

}  // namespace

void check_names(Analysis& analysis)
{
    if (analysis.package.valid())
        for (const Document* document : analysis.documents) unused_in(analysis, *document);
    if (analysis.lone) return;
    check_variables(analysis);
    check_credentials(analysis);
    check_offline(analysis);
    check_files(analysis);
}

}  // namespace mill::workflows
