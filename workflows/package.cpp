#include "workflows/package.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/crypto.h"
#include "workflows/archive.h"
#include "workflows/expression.h"
#include "workflows/loader.h"
#include "workflows/manifest.h"
#include "workflows/schema.h"

namespace mill::workflows {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

Result<std::string> read_file(const fs::path& path, std::size_t most)
{
    std::error_code code;
    const auto size = fs::file_size(path, code);
    if (code) return fail(Errc::not_found, fmt::format("cannot read {}: {}", path.string(), code.message()));
    if (size > most) return fail(Errc::too_large, fmt::format("{} is larger than {} bytes", path.string(), most));
    std::ifstream file(path, std::ios::binary);
    std::string out(static_cast<std::size_t>(size), '\0');
    file.read(out.data(), static_cast<std::streamsize>(out.size()));
    if (!file && !out.empty()) return fail(Errc::not_found, fmt::format("cannot read {}", path.string()));
    return out;
}

/// Every file but hidden ones and packages; a link is refused, so that nothing from elsewhere gets in unseen.
Result<Files> read_folder(const fs::path& folder)
{
    Files out;
    std::size_t total = 0;
    std::error_code code;
    fs::recursive_directory_iterator it(folder, code), end;
    if (code) return fail(Errc::not_found, fmt::format("cannot read {}: {}", folder.string(), code.message()));
    while (it != end) {
        const fs::path path = it->path();
        const std::string name = path.filename().string();
        const fs::file_status status = it->symlink_status(code);
        const bool hidden = name.starts_with(".");
        if (hidden && fs::is_directory(status)) it.disable_recursion_pending();
        if (!hidden && fs::is_symlink(status)) return fail(Errc::invalid, fmt::format("{} is a link: a package holds its files itself", path.string()));
        if (!hidden && fs::is_regular_file(status) && path.extension() != ".mwp") {
            const std::string inside = path.lexically_relative(folder).generic_string();
            if (!is_package_path(inside)) return fail(Errc::invalid, fmt::format("'{}' is no name for a file of a package", inside));
            if (out.size() >= kMostFiles) return fail(Errc::too_large, fmt::format("{} has more than {} files", folder.string(), kMostFiles));
            Result<std::string> bytes = read_file(path, kMostFileBytes);
            if (!bytes) return fail(std::move(bytes.error()));
            total += bytes->size();
            if (total > kMostPackageBytes) return fail(Errc::too_large, fmt::format("{} is larger than 256 MiB", folder.string()));
            out.emplace(inside, std::move(*bytes));
        }
        it.increment(code);
        if (code) return fail(Errc::not_found, fmt::format("cannot read {}: {}", folder.string(), code.message()));
    }
    return out;
}

void sort(std::vector<Finding>& findings)
{
    std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
        return std::tie(a.file, a.mark.line, a.mark.column) < std::tie(b.file, b.mark.line, b.mark.column);
    });
}

/// Documents and their one program; `package.manifest` and `package.assets` are there.
void load_workflows(Package& package, bool lone)
{
    std::vector<std::shared_ptr<Document>> documents;
    std::map<std::string, std::shared_ptr<Document>> by_file;
    const AssetLookup lookup = [&](std::string_view path) -> const std::string* {
        const auto found = package.assets.find(std::string(path));
        return found == package.assets.end() ? nullptr : &found->second;
    };
    for (const auto& [name, file] : package.manifest.workflows) {
        const std::string* text = lookup(file);
        if (text == nullptr) {
            package.findings.push_back({Finding::Level::error, "package.yaml", {}, fmt::format("the workflow file '{}' is not in the package", file)});
            continue;
        }
        if (!by_file.contains(file)) {
            by_file[file] = load_document(*text, file, lookup, package.findings);
            documents.push_back(by_file[file]);
        }
        package.workflows[name] = by_file[file];
    }
    std::vector<Expression*> expressions;
    for (const auto& document : documents)
        for (Expression& expression : document->expressions) expressions.push_back(&expression);
    std::vector<CompileError> errors;
    package.program = compile(expressions, errors);
    for (const CompileError& error : errors)
        for (const auto& document : documents)
            if (!document->expressions.empty() && error.expression >= document->expressions.data() && error.expression <= &document->expressions.back())
                package.findings.push_back({Finding::Level::error, document->file, error.expression->mark,
                                            fmt::format("expression '{}': {}", error.expression->text.substr(0, 100), error.what)});
    const auto targets = [&](const std::string& wanted) {
        return std::any_of(documents.begin(), documents.end(), [&](const auto& d) {
            return wanted == fmt::format("{}/{}/{}", d->ns, d->name, d->version) || wanted == fmt::format("{}/{}/latest", d->ns, d->name);
        });
    };
    for (const auto& document : documents)
        for (const Task& task : document->tasks) {
            const protocol::Permissions& asked = package.manifest.permissions;
            if (task.kind == TaskKind::run_workflow && !targets(task.target))
                package.findings.push_back({Finding::Level::error, document->file, task.mark, fmt::format("task '{}' runs {}, which is not in the package", task.name, task.target)});
            const bool command = task.kind == TaskKind::run_shell || task.kind == TaskKind::run_script;
            if (command && !lone && asked.commands.empty() && package.manifest.asked["commands"].empty())
                package.findings.push_back({Finding::Level::error, document->file, task.mark,
                                            fmt::format("task '{}' runs a {}, but package.yaml asks for no command: add permissions.commands: [ {} ]", task.name,
                                                        task.kind == TaskKind::run_shell ? "shell" : "script",
                                                        task.kind == TaskKind::run_shell ? "sh" : task.target == "js" ? "node" : "python3")});
            if ((task.kind == TaskKind::call_http || task.kind == TaskKind::call_openapi) && !lone && package.manifest.asked["network"].empty())
                package.findings.push_back({Finding::Level::warning, document->file, task.mark, fmt::format("task '{}' calls a server, but package.yaml asks for no permissions.network", task.name)});
        }
}

Package load_files(Files files)
{
    Package out;
    out.assets = std::move(files);
    const auto text = out.assets.find("package.yaml");
    if (text == out.assets.end()) {
        out.findings.push_back({Finding::Level::error, "package.yaml", {}, "the package has no package.yaml"});
        return out;
    }
    const Result<YamlDocument> yaml = parse_yaml(text->second);
    if (!yaml) {
        Finding finding{Finding::Level::error, "package.yaml", {}, yaml.error().what};
        if (std::sscanf(yaml.error().what.c_str(), "%d:%d:", &finding.mark.line, &finding.mark.column) == 2)
            finding.text = yaml.error().what.substr(yaml.error().what.find(": ") + 2);
        out.findings.push_back(std::move(finding));
        return out;
    }
    out.manifest = read_manifest(yaml->value, [&](const std::string& pointer, std::string what) {
        out.findings.push_back({Finding::Level::error, "package.yaml", yaml->mark(pointer), std::move(what)});
    });
    load_workflows(out, false);
    const auto main = out.workflows.find("main");
    if (main != out.workflows.end() && !main->second->name.empty()) {
        const Document& document = *main->second;
        for (const auto& [what, ours, theirs] : {std::tuple{"name", document.name, out.manifest.name}, std::tuple{"version", document.version, out.manifest.version}})
            if (ours != theirs)
                out.findings.push_back({Finding::Level::error, document.file, YamlDocument{{}, document.marks}.mark(std::string("/document/") + what),
                                        fmt::format("document.{} is '{}', but package.yaml says '{}'", what, ours, theirs)});
    }
    sort(out.findings);
    return out;
}

Package load_lone(const std::string& file, std::string text)
{
    Package out;
    out.manifest.workflows["main"] = file;
    out.manifest.asked = Json::object();
    out.assets[file] = std::move(text);
    load_workflows(out, true);
    if (const auto main = out.workflows.find("main"); main != out.workflows.end()) {
        out.manifest.name = main->second->name;
        out.manifest.version = main->second->version;
        out.manifest.title = main->second->title;
    }
    sort(out.findings);
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

Result<Package> load_package(const std::string& path)
{
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    if (code || !fs::exists(status)) return fail(Errc::not_found, fmt::format("{} does not exist", path));
    if (fs::is_directory(status)) {
        Result<Files> files = read_folder(path);
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
            out.findings.push_back({Finding::Level::error, "manifest.json", {}, "manifest.json does not say what package.yaml says"});
    } else {
        const std::string file = manifest->workflows["main"];
        if (files->size() != 1 || !files->contains(file) || !manifest->asked.empty()) return fail(Errc::corrupt, "the package has no package.yaml");
        out = load_lone(file, std::move(files->begin()->second));
    }
    out.manifest = std::move(*manifest);
    return out;
}

Result<std::string> pack(const std::string& path, std::string_view version)
{
    Result<Package> package = load_package(path);
    if (!package) return fail(std::move(package.error()));
    std::string errors;
    for (const Finding& finding : package->findings)
        if (finding.level == Finding::Level::error) errors += (errors.empty() ? "" : "\n") + finding.format();
    if (!errors.empty()) return fail(Errc::invalid, std::move(errors));
    if (!version.empty()) {
        if (!is_semantic_version(version)) return fail(Errc::invalid, fmt::format("'{}' is no semantic version", version));
        package->manifest.version = version;
    }
    return write_archive(dump_json(to_json(package->manifest)), package->assets);
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

std::string package_digest(std::string_view archive_bytes) { return "sha256:" + to_hex(platform::sha256(archive_bytes)); }

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
