#include "platform/secret_store.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"

namespace mill::platform {
namespace {

constexpr std::size_t kMostSecrets = 1000;
constexpr std::string_view kSuffix = ".yaml";

bool is_plain_name(std::string_view name)
{
    if (name.empty() || name.size() > 100 || name.front() == '.' || name.front() == '-') return false;
    return std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'; });
}

Result<Handle> open_at(int folder, const std::string& name, const std::string& path, int flags)
{
    int native = -1;
    do native = ::openat(folder, name.c_str(), flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    while (native < 0 && errno == EINTR);
    if (native >= 0) return Handle(native);
    if (errno == ELOOP || (errno == ENOTDIR && (flags & O_DIRECTORY) != 0)) return fail(Errc::denied, fmt::format("{}: is a link or no {}; put the {} itself there", path,
                                                                               (flags & O_DIRECTORY) != 0 ? "folder" : "file", (flags & O_DIRECTORY) != 0 ? "folder" : "file"));
    return fail(errno == ENOENT ? Errc::not_found : errno == EACCES || errno == EPERM ? Errc::denied : Errc::unavailable, fmt::format("{}: {}", path, os_error(errno)));
}

bool trusted(std::uint32_t owner, const SecretPlaces& places)
{
    return owner == 0 || owner == geteuid() || std::find(places.owners.begin(), places.owners.end(), owner) != places.owners.end();
}

/// systemd makes these files, for this service alone: their owner and mode are its business.
Result<Handle> open_of_service(const SecretPlaces& places, const std::string& name)
{
    const std::string path = fmt::format("{}/{}.{}", places.service, places.prefix, name);
    auto file = open_at(AT_FDCWD, path, path, 0);
    if (!file) return file;
    struct stat info {};
    if (fstat(file->native(), &info) != 0) return fail(Errc::unavailable, fmt::format("{}: {}", path, os_error(errno)));
    if (!S_ISREG(info.st_mode)) return fail(Errc::denied, fmt::format("{}: is no regular file", path));
    if (static_cast<std::size_t>(info.st_size) > kMaxSecretFile) return fail(Errc::too_large, fmt::format("{}: larger than {} bytes", path, kMaxSecretFile));
    return file;
}

Result<Handle> open_folder(const SecretPlaces& places)
{
    auto folder = open_at(AT_FDCWD, places.folder, places.folder, O_DIRECTORY);
    if (!folder) return folder;
    struct stat info {};
    if (fstat(folder->native(), &info) != 0) return fail(Errc::unavailable, fmt::format("{}: {}", places.folder, os_error(errno)));
    if (!trusted(info.st_uid, places)) return fail(Errc::denied, fmt::format("{}: belongs to user {}; use 'chown root {}'", places.folder, info.st_uid, places.folder));
    if ((info.st_mode & 022U) != 0)
        return fail(Errc::denied, fmt::format("{}: mode {:04o} lets others put files there; use 'chmod 700 {}'", places.folder, info.st_mode & 07777U, places.folder));
    return folder;
}

Result<Handle> open_in(const Handle& folder, const SecretPlaces& places, const std::string& file_name)
{
    const std::string path = places.folder + "/" + file_name;
    auto file = open_at(folder.native(), file_name, path, 0);
    if (!file) return file;
    struct stat info {};
    if (fstat(file->native(), &info) != 0) return fail(Errc::unavailable, fmt::format("{}: {}", path, os_error(errno)));
    if (!S_ISREG(info.st_mode)) return fail(Errc::denied, fmt::format("{}: is no regular file", path));
    if (!trusted(info.st_uid, places)) return fail(Errc::denied, fmt::format("{}: belongs to user {}; use 'chown root {}'", path, info.st_uid, path));
    if ((info.st_mode & 077U) != 0) return fail(Errc::denied, fmt::format("{}: mode {:04o} lets others in; use 'chmod 600 {}'", path, info.st_mode & 07777U, path));
    if (info.st_nlink != 1) return fail(Errc::denied, fmt::format("{}: has {} names; copy it there instead of linking it", path, info.st_nlink));
    if (static_cast<std::size_t>(info.st_size) > kMaxSecretFile) return fail(Errc::too_large, fmt::format("{}: larger than {} bytes", path, kMaxSecretFile));
    return file;
}

/// The names in a folder whose file names begin and end so.
std::vector<std::string> names_in(const std::string& folder, std::string_view before, std::string_view behind)
{
    std::vector<std::string> out;
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end && out.size() < kMostSecrets; at.increment(error)) {
        const std::string file = at->path().filename().string();
        if (file.size() <= before.size() + behind.size() || !file.starts_with(before) || !file.ends_with(behind)) continue;
        std::string name = file.substr(before.size(), file.size() - before.size() - behind.size());
        if (is_plain_name(name)) out.push_back(std::move(name));
    }
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace

Result<Handle> open_secret(const SecretPlaces& places, const std::string& name)
{
    if (!is_plain_name(name)) return fail(Errc::invalid, fmt::format("'{}' is no name of a credential", name.substr(0, 100)));
    std::string looked;
    if (!places.service.empty()) {
        auto file = open_of_service(places, name);
        if (file || file.error().code != Errc::not_found) return file;
        looked = fmt::format("{}/{}.{}", places.service, places.prefix, name);
    }
    if (!places.folder.empty()) {
        auto folder = open_folder(places);
        auto file = folder ? open_in(*folder, places, name + std::string(kSuffix)) : Result<Handle>(fail(folder.error()));
        if (file || file.error().code != Errc::not_found) return file;
        looked += fmt::format("{}{}/{}{}", looked.empty() ? "" : ", ", places.folder, name, kSuffix);
    }
    return fail(Errc::not_found, looked.empty() ? "this machine has no place for credentials" : fmt::format("this machine does not hold it: there is no {}", looked));
}

std::vector<FoundSecret> list_secrets(const SecretPlaces& places)
{
    std::vector<FoundSecret> out;
    const auto status_of = [&](const std::string& name) -> Status {
        auto file = open_secret(places, name);
        if (!file) return fail(std::move(file.error()));
        return {};
    };
    if (!places.service.empty())
        for (std::string& name : names_in(places.service, places.prefix + ".", ""))
            out.push_back({name, fmt::format("{}/{}.{}", places.service, places.prefix, name), status_of(name)});
    if (!places.folder.empty())
        for (std::string& name : names_in(places.folder, "", kSuffix))
            if (std::none_of(out.begin(), out.end(), [&](const FoundSecret& found) { return found.name == name; }))
                out.push_back({name, fmt::format("{}/{}{}", places.folder, name, kSuffix), status_of(name)});
    std::sort(out.begin(), out.end(), [](const FoundSecret& a, const FoundSecret& b) { return a.name < b.name; });
    return out;
}

}  // namespace mill::platform
