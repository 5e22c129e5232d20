#include "workflows/package.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "platform/base/nearest.h"
#include "platform/base/text.h"
#include "workflows/archive.h"
#include "workflows/check/check.h"
#include "workflows/expression.h"
#include "workflows/loader.h"
#include "workflows/manifest.h"
#include "workflows/package_files.h"
#include "workflows/place.h"
#include "workflows/schema.h"

namespace mill::workflows {
namespace {

namespace fs = std::filesystem;

std::optional<YamlDocument> read_yaml(const std::string& text, const std::string& file, std::vector<Finding>& findings)
{
    Result<YamlDocument> yaml = parse_yaml(text);
    if (yaml) return std::move(*yaml);
    Finding finding{Finding::Level::error, file, {}, yaml.error().what, "yaml"};
    if (std::sscanf(yaml.error().what.c_str(), "%d:%d:", &finding.mark.line, &finding.mark.column) == 2)
        finding.text = yaml.error().what.substr(yaml.error().what.find(": ") + 2);
    findings.push_back(std::move(finding));
    return std::nullopt;
}

/// Loads a package and what it depends on; all documents share one program.
class Loading {
public:
    Loading(Package& package, bool lone) : package_(package), lone_(lone) {}

    void package_files()
    {
        if (const auto manifest = manifest_at("")) {
            package_.manifest = std::move(*manifest);
            package_.workflows = documents_of(package_.manifest, "");
            dependencies_of(package_.manifest, "");
        }
        finish();
    }

    void lone_file()
    {
        package_.workflows = documents_of(package_.manifest, "");
        finish();
    }

private:
    using Workflows = std::map<std::string, std::shared_ptr<const Document>>;

    void complain(std::string_view code, std::string file, Mark mark, std::string text, Finding::Level level = Finding::Level::error)
    {
        package_.findings.push_back({level, std::move(file), mark, std::move(text), std::string(code)});
    }

    std::optional<Manifest> manifest_at(const std::string& root)
    {
        const std::string file = root + "package.yaml";
        const auto text = package_.assets.find(file);
        if (text == package_.assets.end()) {
            complain("manifest", file, {}, "the package has no package.yaml");
            return std::nullopt;
        }
        const std::optional<YamlDocument> yaml = read_yaml(text->second, file, package_.findings);
        if (!yaml) return std::nullopt;
        Manifest out = read_manifest(yaml->value, [&](const std::string& pointer, std::string what) { complain("manifest", file, yaml->mark(pointer), std::move(what)); });
        if (yaml->value.contains("schedules")) complain("manifest", file, yaml->mark("/schedules"), "package.yaml has no 'schedules': a workflow's own 'schedule' says when");
        out.schedules = Json();
        if (root.empty()) places_ = yaml->marks;
        return out;
    }

    Workflows documents_of(Manifest& manifest, const std::string& root)
    {
        Workflows out;
        std::map<std::string, std::shared_ptr<Document>> by_file;
        const AssetLookup lookup = [this, &root](std::string_view path) -> const std::string* {
            const auto found = package_.assets.find(root + std::string(path));
            return found == package_.assets.end() ? nullptr : &found->second;
        };
        for (const auto& [name, file] : manifest.workflows) {
            const std::string* text = lookup(file);
            if (text == nullptr) {
                complain("missing-file", root + "package.yaml", {}, fmt::format("the workflow file '{}' is not in the package", file));
                continue;
            }
            if (!by_file.contains(file)) {
                by_file[file] = load_document(*text, root + file, lookup, package_.findings);
                by_file[file]->root = root;
                documents_.push_back(by_file[file]);
            }
            out[name] = by_file[file];
            if (by_file[file]->schedule.is_null()) continue;
            if (manifest.schedules.is_null()) manifest.schedules = Json::object();
            manifest.schedules.set(name, by_file[file]->schedule);
        }
        const auto main = out.find("main");
        if (lone_ || main == out.end() || main->second->name.empty()) return out;
        const Document& document = *main->second;
        for (const auto& [what, ours, theirs] : {std::tuple{"name", document.name, manifest.name}, std::tuple{"version", document.version, manifest.version}})
            if (ours != theirs && (what != std::string_view("name") || lower_case(ours) != theirs))  // a package's name has small letters only
                complain("manifest", document.file, nearest_mark(document.marks, std::string("/document/") + what),
                         fmt::format("document.{} is '{}', but package.yaml says '{}'", what, ours, theirs));
        return out;
    }

    /// Each lies under dependencies/NAME/ of the package that needs it. Its permissions, variables and credentials are those of
    /// the outermost package: what it needs of them must be declared there.
    void dependencies_of(const Manifest& needing, const std::string& root)
    {
        for (const auto& [name, version] : needing.dependencies) {
            const std::string inside = root + dependency_root(name);
            const Mark place = nearest_mark(places_, "/dependencies/" + name);
            const auto about = [&, &name = name](std::string text, Finding::Level level = Finding::Level::error) {
                complain("dependency", root + "package.yaml", root.empty() ? place : Mark{}, fmt::format("the dependency '{}' {}", name, text), level);
            };
            if (!package_.assets.contains(inside + "package.yaml")) {
                about(fmt::format("{} is not there: neither as dependencies/{}/, nor as dependencies/{}-{}.mwp, nor as the folder {} beside the package", version, name, name, version, name));
                continue;
            }
            std::optional<Manifest> manifest = manifest_at(inside);
            if (!manifest) continue;
            if (manifest->name != name) about(fmt::format("is a package named '{}'", manifest->name));
            if (manifest->version != version) about(fmt::format("is wanted in the version {}, but there is {}", version, manifest->version));
            for (const auto& [variable, body] : manifest->variables)
                if (!package_.manifest.variables.contains(variable)) about(fmt::format("has the variable '{}': declare it in this package's variables, too", variable));
            for (const auto& [credential, kind] : manifest->credentials)
                if (!package_.manifest.credentials.contains(credential)) about(fmt::format("has the credential '{}': declare it in this package's credentials, too", credential));
            for (const auto& [key, value] : manifest->asked.as_object())
                if (key != "limits" && !package_.manifest.asked.contains(key))
                    about(fmt::format("asks for permissions.{}, which this package does not ask for: a dependency has the permissions of the package that holds it", key), Finding::Level::warning);
            for (const auto& [workflow, document] : documents_of(*manifest, inside))
                if (std::find(package_.dependencies.begin(), package_.dependencies.end(), document) == package_.dependencies.end()) package_.dependencies.push_back(document);
            dependencies_of(*manifest, inside);
        }
    }

    void finish()
    {
        std::vector<Expression*> expressions;
        for (const auto& document : documents_)
            for (Expression& expression : document->expressions) expressions.push_back(&expression);
        std::vector<CompileError> errors;
        package_.program = compile(expressions, errors);
        for (const CompileError& error : errors)
            for (const auto& document : documents_)
                if (!document->expressions.empty() && error.expression >= document->expressions.data() && error.expression <= &document->expressions.back())
                    complain("expression", document->file, place_inside(package_.assets[document->file], error.expression->mark, error.expression->text, error.offset),
                             fmt::format("expression '{}': {}", error.expression->text.substr(0, 100), error.what));
        for (const auto& document : documents_)
            for (const Task& task : document->tasks) check(*document, task);
        std::stable_sort(package_.findings.begin(), package_.findings.end(), [](const Finding& a, const Finding& b) {
            return std::tie(a.file, a.mark.line, a.mark.column) < std::tie(b.file, b.mark.line, b.mark.column);
        });
    }

    /// What a task needs of the package around it.
    void check(const Document& document, const Task& task)
    {
        const Json& asked = package_.manifest.asked;
        const bool script = task.kind == TaskKind::run_script;
        if (task.kind == TaskKind::run_workflow && find_workflow(package_, document, task.target) == nullptr)
            complain("undeclared", document.file, nearest_mark(document.marks, task.pointer + "/run/workflow"),
                     fmt::format("task '{}' runs {}, which is neither in the package nor in what it depends on{}", task.name, task.target, did_you_mean(task.target, targets())));
        if (lone_) return;
        const std::string program = task.kind == TaskKind::run_shell ? "sh" : task.target == "js" ? "node" : "python3";
        if ((script || task.kind == TaskKind::run_shell) && asked["commands"].empty())
            complain("permission-missing", document.file, task.mark, fmt::format("task '{}' runs a {}, but package.yaml asks for no command: add permissions.commands: [ {} ]", task.name,
                                                           script ? "script" : "shell", program));
        else if (script && !names_program(asked["commands"], program))
            complain("permission-missing", document.file, task.mark, fmt::format("task '{}' runs a script by {}, which package.yaml does not ask for: add permissions.commands: [ {} ]", task.name, program, program));
    }

    std::vector<std::string> targets() const
    {
        std::vector<std::string> out;
        for (const auto& document : documents_) out.push_back(fmt::format("{}/{}/{}", document->ns, document->name, document->version));
        return out;
    }

    /// By bare name or path; a variable may hold anything.
    static bool names_program(const Json& commands, const std::string& program)
    {
        return std::any_of(commands.as_array().begin(), commands.as_array().end(), [&](const Json& each) {
            return !each.is_string() || each.as_string() == program || each.as_string().ends_with("/" + program);
        });
    }

    Package& package_;
    bool lone_;
    std::vector<std::shared_ptr<Document>> documents_;
    Marks places_;  // of package.yaml
};

Package load_files(Files files)
{
    Package out;
    out.assets = std::move(files);
    Loading(out, false).package_files();
    return out;
}

Package load_lone(const std::string& file, std::string text)
{
    Package out;
    out.manifest.workflows["main"] = file;
    out.manifest.asked = Json::object();
    out.assets[file] = std::move(text);
    Loading(out, true).lone_file();
    if (const auto main = out.workflows.find("main"); main != out.workflows.end()) {
        out.manifest.name = main->second->name;
        out.manifest.version = main->second->version;
        out.manifest.title = main->second->title;
    }
    return out;
}

}  // namespace

std::string Finding::format() const
{
    return fmt::format("{}:{}:{}: {}{}", file, mark.line, mark.column, level == Level::warning ? "warning: " : "", text);
}

bool Package::valid() const
{
    return std::none_of(findings.begin(), findings.end(), [](const Finding& f) { return f.level == Finding::Level::error; });
}

/// Its own package's workflows, and those of the packages that its own depends on, not of theirs.
const Document* find_workflow(const Package& package, const Document& from, std::string_view target)
{
    const auto is_it = [&](const Document& each) {
        return target == fmt::format("{}/{}/{}", each.ns, each.name, each.version) || target == fmt::format("{}/{}/latest", each.ns, each.name);
    };
    const auto within_reach = [&](const Document& each) {
        if (each.root == from.root) return true;
        const std::string below = from.root + "dependencies/";
        return each.root.starts_with(below) && each.root.find('/', below.size()) == each.root.size() - 1;
    };
    for (const auto& [name, document] : package.workflows)
        if (within_reach(*document) && is_it(*document)) return document.get();
    for (const auto& document : package.dependencies)
        if (within_reach(*document) && is_it(*document)) return document.get();
    return nullptr;
}

Result<Package> load_package(const std::string& path)
{
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    if (code || !fs::exists(status)) return fail(Errc::not_found, fmt::format("{} does not exist", path));
    if (fs::is_directory(status)) {
        Result<Files> files = read_package_folder(path);
        if (!files) return fail(std::move(files.error()));
        return load_files(std::move(*files));
    }
    Result<std::string> bytes = read_file(path, kMostPackageBytes);
    if (!bytes) return fail(std::move(bytes.error()));
    if (bytes->starts_with("PK\x03\x04") || path.ends_with(".mwp")) return load_archive(*bytes);
    return load_lone(fs::path(path).filename().string(), std::move(*bytes));
}

Result<Package> load_archive(std::string_view bytes)
{
    Result<Files> files = read_archive(bytes);
    if (!files) return fail(std::move(files.error()));
    const Result<Json> json = parse_json((*files)["manifest.json"], {kMostManifestBytes, 32});
    if (!json) return fail("manifest.json", json.error());
    Result<Manifest> manifest = parse_manifest(*json);
    if (!manifest) return fail(Errc::corrupt, fmt::format("manifest.json: {}", manifest.error().what));
    files->erase("manifest.json");
    Package out;
    if (files->contains("package.yaml")) {
        out = load_files(std::move(*files));
        Manifest written = out.manifest;
        written.version = manifest->version;  // `pack` may have given another
        if (!(to_json(written) == to_json(*manifest)))
            out.findings.push_back({Finding::Level::error, "manifest.json", {}, "manifest.json does not say what package.yaml says", "manifest"});
    } else {
        const std::string file = manifest->workflows["main"];
        if (files->size() != 1 || !files->contains(file) || !manifest->asked.empty()) return fail(Errc::corrupt, "the package has no package.yaml");
        out = load_lone(file, std::move(files->begin()->second));
    }
    out.manifest = std::move(*manifest);
    return out;
}

Result<Manifest> manifest_of(std::string_view archive_bytes)
{
    Result<std::string> text = read_archive_manifest(archive_bytes);
    if (!text) return fail(std::move(text.error()));
    Result<Json> json = parse_json(*text, {kMostManifestBytes, 32});
    if (!json) return fail(Errc::corrupt, fmt::format("manifest.json: {}", json.error().what));
    Result<Manifest> out = parse_manifest(*json);
    if (!out) return fail(Errc::corrupt, fmt::format("manifest.json: {}", out.error().what));
    return out;
}

Json input_schema(const Package& package, std::string_view workflow)
{
    const auto found = package.workflows.find(std::string(workflow));
    return found == package.workflows.end() ? Json() : found->second->input.schema_document;
}

Status check_input(const Package& package, std::string_view workflow, const Json& input)
{
    const auto found = package.workflows.find(std::string(workflow));
    if (found == package.workflows.end()) return fail(Errc::not_found, fmt::format("the package has no workflow '{}'", workflow));
    const std::shared_ptr<const Schema>& schema = found->second->input.schema;
    if (!schema) return {};
    std::string all;
    for (const std::string& mistake : schema->mistakes(input)) all += (all.empty() ? "" : "; ") + mistake;
    if (all.empty()) return {};
    return fail(Errc::invalid, fmt::format("the input does not fit the workflow's input.schema: {}", all));
}

}  // namespace mill::workflows
