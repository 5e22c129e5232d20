#include "workflows/package_files.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include <fmt/format.h>

#include "platform/base/yaml.h"
#include "workflows/archive.h"

namespace mill::workflows {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kDeepestFolder = 8;  // dependencies of dependencies

/// All but hidden files, packages, and the tests of a package: what a test says makes no other package.
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
        const bool left_out = hidden || (it.depth() == 0 && name == "tests");
        if (left_out && fs::is_directory(status)) it.disable_recursion_pending();
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


Status put_in(Files files, const std::string& root, Files& into)
{
    std::size_t total = 0;
    for (auto& [path, bytes] : files) {
        if (!is_package_path(root + path)) return fail(Errc::too_large, fmt::format("'{}' is no name for a file of a package", root + path));
        into.insert_or_assign(root + path, std::move(bytes));
    }
    for (const auto& [path, bytes] : into) total += bytes.size();
    if (into.size() > kMostFiles || total > kMostPackageBytes)
        return fail(Errc::too_large, fmt::format("with its dependencies the package has more than {} files or 256 MiB", kMostFiles));
    return {};
}

/// `folder` is where the package at `root` was found: its siblings and its own folder `dependencies` are looked at.
Status gather(const fs::path& folder, const std::string& root, Files& files, std::vector<std::string> chain)
{
    const auto manifest = files.find(root + "package.yaml");
    const Result<YamlDocument> yaml = manifest == files.end() ? Result<YamlDocument>(fail(Errc::not_found, "")) : parse_yaml(manifest->second);
    if (!yaml) return {};  // the loader says so
    chain.push_back(yaml->value["name"].as_string());
    if (chain.size() > kDeepestFolder) return fail(Errc::invalid, fmt::format("dependencies are nested deeper than {} levels: {}", kDeepestFolder, fmt::join(chain, " needs ")));
    for (const auto& [name, version] : yaml->value["dependencies"].as_object()) {
        const std::string inside = root + dependency_root(name);
        if (!is_package_path(inside + "package.yaml")) continue;
        if (std::find(chain.begin(), chain.end(), name) != chain.end())
            return fail(Errc::invalid, fmt::format("the dependency '{}' depends on itself: {} needs {}", name, fmt::join(chain, " needs "), name));
        fs::path home = folder / "dependencies" / name;
        if (!files.contains(inside + "package.yaml")) {
            const fs::path archive = folder / "dependencies" / fmt::format("{}-{}.mwp", name, version.as_string());
            const fs::path beside = fs::absolute(folder).lexically_normal().parent_path() / name;
            std::error_code code;
            if (fs::is_regular_file(archive, code)) {
                const Result<std::string> bytes = read_file(archive, kMostPackageBytes);
                if (!bytes) return fail(bytes.error());
                Result<Files> found = read_archive(*bytes);
                if (!found) return fail(archive.string(), found.error());
                found->erase("manifest.json");
                if (Status ok = put_in(std::move(*found), inside, files); !ok) return ok;
            } else if (fs::is_regular_file(beside / "package.yaml", code)) {
                Result<Files> found = read_folder(beside);
                if (!found) return fail(std::move(found.error()));
                if (Status ok = put_in(std::move(*found), inside, files); !ok) return ok;
                home = beside;
            } else {
                continue;
            }
        }
        if (Status ok = gather(home, inside, files, chain); !ok) return ok;
    }
    return {};
}

}  // namespace

std::string dependency_root(const std::string& name) { return "dependencies/" + name + "/"; }

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

Result<Files> read_package_folder(const fs::path& folder)
{
    Result<Files> files = read_folder(folder);
    if (!files) return files;
    fs::path home = fs::absolute(folder).lexically_normal();
    if (!home.has_filename()) home = home.parent_path();  // "demo/"
    if (Status ok = gather(home, "", *files, {}); !ok) return fail(std::move(ok.error()));
    return files;
}

}  // namespace mill::workflows
