#include "factory/backup.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "factory/core/restored.h"
#include "factory/store/copy.h"
#include "platform/append_file.h"
#include "platform/base/encode.h"
#include "platform/base/json.h"
#include "platform/crypto.h"
#include "platform/files.h"

namespace mill::factory {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kKind = "millwright-factory-backup";
constexpr std::size_t kManifestBytes = 64 * 1024 * 1024;

struct Listed {
    std::string name;      // relative, with '/'
    std::uint64_t size = 0;
    std::string digest;    // hex
};

Result<Listed> listed(const std::string& folder, const std::string& name)
{
    std::error_code error;
    const std::uint64_t size = fs::file_size(folder + "/" + name, error);
    if (error) return fail(Errc::unavailable, fmt::format("{}/{}: {}", folder, name, error.message()));
    const auto digest = platform::sha256_file(folder + "/" + name);
    if (!digest) return fail(folder + "/" + name, digest.error());
    return Listed{name, size, to_hex(*digest)};
}

/// The bytes are safe when it returns.
Status copy_file(const std::string& from, const std::string& to, fs::perms mode)
{
    std::error_code error;
    fs::copy_file(from, to, error);
    if (error) return fail(Errc::unavailable, fmt::format("copying {} to {}: {}", from, to, error.message()));
    fs::permissions(to, mode, error);
    if (error) return fail(Errc::unavailable, fmt::format("{}: {}", to, error.message()));
    auto file = platform::AppendFile::open(to);
    if (!file) return fail(std::move(file.error()));
    return file->sync();
}

constexpr const char* kFolders[] = {"packages", "values", "logs"};
constexpr std::string_view kHex = "0123456789abcdef";

/// Names are those that make_backup writes: nothing of a manifest leads out of the folder.
bool is_ours(std::string_view name)
{
    if (name == "factory.db" || name == "factory-key" || name == "admin-token") return true;
    const std::size_t slash = name.find('/');
    if (slash == name.npos) return false;
    const std::string_view folder = name.substr(0, slash), file = name.substr(slash + 1), stem = file.substr(0, file.find('.'));
    if (folder == "packages") return stem.size() == 64 && stem.find_first_not_of(kHex) == stem.npos && file.substr(64) == ".mwp";
    const bool uid = stem.size() == 36 && stem.find_first_not_of("0123456789abcdef-") == stem.npos && file.size() > 37;
    if (folder == "values") return uid && file.substr(36) == ".json";
    return folder == "logs" && uid && file.size() < 50 && file.substr(37).find_first_not_of("0123456789") == file.npos;
}

/// Files of a folder of the data folder, as "FOLDER/NAME"; none when it is not there.
Result<std::vector<std::string>> files_in(const std::string& data, const std::string& folder)
{
    std::vector<std::string> out;
    if (!platform::exists(data + "/" + folder)) return out;
    std::error_code error;
    for (fs::directory_iterator at(data + "/" + folder, error), end; !error && at != end; at.increment(error))
        if (const std::string name = folder + "/" + at->path().filename().string(); at->is_regular_file(error) && is_ours(name)) out.push_back(name);
    if (error) return fail(Errc::unavailable, fmt::format("{}/{}: {}", data, folder, error.message()));
    std::sort(out.begin(), out.end());
    return out;
}

struct Manifest {
    WallTime time;
    std::vector<Listed> files;
};

Result<Manifest> read_manifest(const std::string& folder)
{
    const auto bytes = platform::read_file(folder + "/manifest.json", kManifestBytes);
    if (!bytes) return fail(Errc::invalid, fmt::format("{} is no whole backup: its manifest.json cannot be read ({})", folder, bytes.error().what));
    const auto refuse = [&](std::string_view what) { return fail(Errc::invalid, fmt::format("{}/manifest.json: {}", folder, what)); };
    const auto json = parse_json(*bytes);
    if (!json) return refuse(json.error().what);
    if ((*json)["kind"].as_string() != kKind) return refuse("it is of no backup of a factory");
    if ((*json)["version"].as_integer() != 1) return refuse("a newer millwright-factory made this backup: restore it with that one");
    const auto time = parse_time((*json)["time"].as_string());
    if (!time) return refuse("it has no time");
    Manifest out{*time, {}};
    bool database = false;
    for (const Json& one : (*json)["files"].as_array()) {
        Listed file{one["name"].as_string(), static_cast<std::uint64_t>(one["size"].as_integer()), one["sha256"].as_string()};
        if (!is_ours(file.name)) return refuse(fmt::format("it names the file '{}', which is none of a backup", file.name));
        database = database || file.name == "factory.db";
        out.files.push_back(std::move(file));
    }
    if (!database) return refuse("it names no factory.db");
    return out;
}

Status check_files(const std::string& folder, const Manifest& manifest)
{
    for (const Listed& file : manifest.files) {
        const auto found = listed(folder, file.name);
        if (!found) return fail(found.error());
        if (found->size != file.size || found->digest != file.digest)
            return fail(Errc::corrupt, fmt::format("{}/{} is not what was backed up: its SHA-256 differs from manifest.json", folder, file.name));
    }
    return {};
}

Status check_target(const std::string& data)
{
    std::error_code error;
    if (!platform::exists(data)) return platform::make_folder(data, 0700);
    if (!platform::is_folder(data)) return fail(Errc::conflict, data + " is no folder");
    const bool empty = fs::is_empty(data, error);
    if (error) return fail(Errc::denied, fmt::format("{}: {}", data, error.message()));
    if (!empty) return fail(Errc::conflict, fmt::format("{} is not empty: name another folder, or move away what is in it", data));
    return {};
}

BackupReport report_of(const Manifest& manifest)
{
    BackupReport out{.time = manifest.time, .files = manifest.files.size(), .bytes = 0};
    for (const Listed& file : manifest.files) out.bytes += file.size;
    return out;
}

}  // namespace

Result<BackupReport> make_backup(const std::string& data, const std::string& to, Clock& clock)
{
    if (!platform::exists(data + "/factory.db")) return fail(Errc::not_found, fmt::format("--data {}: no factory has run with this folder (it has no factory.db)", data));
    if (platform::exists(to)) return fail(Errc::conflict, fmt::format("--to {} is there already: a backup is a new folder", to));
    Manifest manifest{clock.now(), {}};
    if (auto ok = platform::make_folder(to + "/packages", 0700); !ok) return fail("--to", ok.error());
    std::error_code error;
    fs::permissions(to, fs::perms::owner_all, error);
    if (error) return fail(Errc::unavailable, fmt::format("{}: {}", to, error.message()));
    // While it is held, retention removes no file: what the copy of the database names is still there when its turn comes.
    auto hold = platform::lock_file(data + "/backup.lock");
    for (int i = 0; !hold && hold.error().code == Errc::conflict && i < 20 && clock.sleep(Milliseconds(100), {}); ++i) hold = platform::lock_file(data + "/backup.lock");
    if (!hold) return fail("another backup is being made", hold.error());
    if (auto ok = copy_database(data, to + "/factory.db"); !ok) return fail(ok.error());
    // Later than the database: what it names is there by now, and packages never change.
    auto names = files_in(data, "packages");
    if (!names) return fail(names.error());
    for (const char* folder : {"values", "logs"}) {
        auto more = files_in(data, folder);
        if (!more) return fail(more.error());
        if (more->empty()) continue;
        if (auto ok = platform::make_folder(to + "/" + folder, 0700); !ok) return fail("--to", ok.error());
        names->insert(names->end(), more->begin(), more->end());
    }
    for (const char* name : {"factory-key", "admin-token"})
        if (platform::exists(data + "/" + name)) names->push_back(name);
    for (const std::string& name : *names)
        if (auto ok = copy_file(data + "/" + name, to + "/" + name, fs::perms::owner_read | fs::perms::owner_write); !ok) return fail(ok.error());
    names->insert(names->begin(), "factory.db");
    Json files = Json::array();
    for (const std::string& name : *names) {
        auto file = listed(to, name);
        if (!file) return fail(file.error());
        files.push(Json::object({{"name", file->name}, {"size", file->size}, {"sha256", file->digest}}));
        manifest.files.push_back(std::move(*file));
    }
    const Json text = Json::object({{"kind", std::string(kKind)}, {"version", 1}, {"time", format_time(manifest.time)}, {"program", MILL_VERSION}, {"files", std::move(files)}});
    if (auto ok = platform::write_file(to + "/manifest.json", dump_json(text) + "\n", 0600); !ok) return fail(ok.error());
    return report_of(manifest);
}

Result<BackupReport> restore_backup(const std::string& from, const std::string& data, Clock& clock)
{
    const auto manifest = read_manifest(from);
    if (!manifest) return fail(manifest.error());
    if (auto ok = check_files(from, *manifest); !ok) return fail(ok.error());
    if (auto ok = check_target(data); !ok) return fail(ok.error());
    auto lock = platform::lock_file(data + "/factory.lock");
    if (!lock) return fail("--data", lock.error());
    // The database comes to its place last, and marked: a factory never starts with it before.
    const std::string half = data + "/restoring";
    const auto secret = fs::perms::owner_read | fs::perms::owner_write;
    for (const char* folder : kFolders)
        if (auto ok = platform::make_folder(half + "/" + folder, 0700); !ok) return fail(ok.error());
    for (const Listed& file : manifest->files)
        if (auto ok = copy_file(from + "/" + file.name, half + "/" + file.name, secret); !ok) return fail(ok.error());
    if (auto ok = check_files(half, *manifest); !ok) return fail(ok.error());   // it may have changed meanwhile, or the copy may be bad
    if (auto ok = core::mark_restored(half, manifest->time, clock); !ok) return fail(from + "/factory.db", ok.error());
    if (platform::exists(half + "/factory.db-wal")) return fail(Errc::unavailable, half + "/factory.db could not be closed: empty the folder and restore again");
    std::error_code error;
    for (const char* folder : kFolders) {
        fs::rename(half + "/" + folder, data + "/" + folder, error);
        if (error) return fail(Errc::unavailable, fmt::format("{}: {}", data, error.message()));
    }
    for (const char* name : {"factory-key", "admin-token", "factory.db"})
        if (platform::exists(half + "/" + name))
            if (auto ok = platform::replace_file(half + "/" + name, data + "/" + name); !ok) return fail(ok.error());
    if (auto ok = platform::remove_tree(half); !ok) return fail(ok.error());
    return report_of(*manifest);
}

}  // namespace mill::factory
