#include "platform/files.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/os_error.h"

namespace mill::platform {
namespace {

tl::unexpected<Error> failure(const std::string& path, int error)
{
    const Errc code = error == ENOENT || error == ENOTDIR ? Errc::not_found
                      : error == EACCES || error == EPERM || error == ELOOP ? Errc::denied
                                                                                              : Errc::unavailable;
    return fail(code, fmt::format("{}: {}", path, os_error(error)));
}

Result<Handle> open_file(const std::string& path, int flags, unsigned mode = 0)
{
    int native = -1;
    do native = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    while (native < 0 && errno == EINTR);
    if (native < 0) return failure(path, errno);
    return Handle(native);
}

Result<std::string> read_all(const Handle& file, const std::string& path, std::size_t max_bytes)
{
    struct stat info {};
    if (fstat(file.native(), &info) != 0) return failure(path, errno);
    if (S_ISDIR(info.st_mode)) return fail(Errc::denied, fmt::format("{}: is a folder", path));
    std::string out;
    char block[65536];
    while (true) {
        const ssize_t got = read(file.native(), block, sizeof block);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failure(path, errno);
        if (got == 0) return out;
        if (out.size() + static_cast<std::size_t>(got) > max_bytes)
            return fail(Errc::too_large, fmt::format("{}: larger than {} bytes", path, max_bytes));
        out.append(block, static_cast<std::size_t>(got));
    }
}

std::string folder_of(const std::string& path)
{
    const auto cut = path.rfind('/');
    if (cut == std::string::npos) return ".";
    return cut == 0 ? "/" : path.substr(0, cut);
}

Status write_all(const Handle& file, const std::string& path, std::string_view bytes)
{
    while (!bytes.empty()) {
        const ssize_t done = write(file.native(), bytes.data(), bytes.size());
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return failure(path, errno);
        bytes.remove_prefix(static_cast<std::size_t>(done));
    }
    return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max_bytes)
{
    auto file = open_file(path, O_RDONLY | O_NOCTTY);
    if (!file) return fail(file.error());
    return read_all(*file, path, max_bytes);
}

Result<std::string> read_secret_file(const std::string& path, std::size_t max_bytes)
{
    auto file = open_file(path, O_RDONLY | O_NOCTTY);
    if (!file) return fail(file.error());
    struct stat info {};
    if (fstat(file->native(), &info) != 0) return failure(path, errno);
    if (!S_ISREG(info.st_mode)) return fail(Errc::denied, fmt::format("{}: is no regular file", path));
    if (info.st_uid != geteuid() && info.st_uid != 0)
        return fail(Errc::denied, fmt::format("{}: belongs to user {}, must be ours or root's", path, info.st_uid));
    if ((info.st_mode & 077U) != 0)
        return fail(Errc::denied, fmt::format("{}: mode {:04o} lets others in; use 'chmod 600 {}'", path, info.st_mode & 07777U, path));
    return read_all(*file, path, max_bytes);
}

Status write_file(const std::string& path, std::string_view bytes, unsigned mode)
{
    const std::string fresh = fmt::format("{}.{}.new", path, to_hex(random_bytes(6)));
    auto file = open_file(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (!file) return fail(file.error());
    Status done = write_all(*file, path, bytes);
    if (done && fchmod(file->native(), mode) != 0) done = failure(path, errno);
    if (done && fsync(file->native()) != 0) done = failure(path, errno);
    if (done && rename(fresh.c_str(), path.c_str()) != 0) done = failure(path, errno);
    if (!done) {
        unlink(fresh.c_str());
        return done;
    }
    auto folder = open_file(folder_of(path), O_RDONLY | O_DIRECTORY);
    if (folder && fsync(folder->native()) != 0 && errno != EINVAL) return failure(path, errno);
    return {};
}

Status make_folder(const std::string& path, unsigned mode)
{
    if (path.empty()) return fail(Errc::invalid, "a folder without a name");
    if (mkdir(path.c_str(), mode) == 0) {
        if (chmod(path.c_str(), mode) != 0) return failure(path, errno);
        return {};
    }
    if (errno == ENOENT && folder_of(path) != path) {
        if (auto parent = make_folder(folder_of(path), 0755); !parent) return parent;
        if (mkdir(path.c_str(), mode) == 0) return chmod(path.c_str(), mode) == 0 ? Status{} : failure(path, errno);
    }
    const int error = errno;
    struct stat info {};
    if (stat(path.c_str(), &info) == 0) {
        if (S_ISDIR(info.st_mode)) return {};
        return fail(Errc::conflict, fmt::format("{}: is there and is no folder", path));
    }
    return failure(path, error);
}

Status remove_tree(const std::string& path)
{
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return fail(Errc::unavailable, fmt::format("{}: {}", path, error.message()));
    return {};
}

bool exists(const std::string& path)
{
    struct stat info {};
    return stat(path.c_str(), &info) == 0;
}

std::string identity_of(const std::string& path)
{
    struct stat info {};
    return stat(path.c_str(), &info) == 0 ? fmt::format("{}:{}", info.st_dev, info.st_ino) : "";
}

bool is_folder(const std::string& path)
{
    struct stat info {};
    return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Status may_read(const std::string& path)
{
    if (access(path.c_str(), is_folder(path) ? R_OK | X_OK : R_OK) != 0) return failure(path, errno);
    return {};
}

Status may_write(const std::string& path)
{
    if (is_folder(path)) return fail(Errc::conflict, fmt::format("{}: is a folder", path));
    if (exists(path)) return access(path.c_str(), W_OK) == 0 ? Status{} : failure(path, errno);
    const std::string folder = folder_of(path);
    if (access(folder.c_str(), W_OK | X_OK) != 0) return failure(folder, errno);
    return {};
}

Status write_output(const std::string& path, std::string_view bytes)
{
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode)) return write_file(path, bytes);
    auto file = open_file(path, O_WRONLY | O_TRUNC | O_NOCTTY);
    if (!file) return fail(file.error());
    return write_all(*file, path, bytes);
}

Result<Handle> lock_file(const std::string& path)
{
    auto file = open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (!file) return fail(file.error());
    if (flock(file->native(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return failure(path, errno);
        std::string holder = read_all(*file, path, 64).value_or("");
        while (!holder.empty() && holder.back() == '\n') holder.pop_back();
        return fail(Errc::conflict, fmt::format("{}: held by process {}", path, holder.empty() ? "?" : holder));
    }
    const std::string id = fmt::format("{}\n", getpid());
    if (ftruncate(file->native(), 0) != 0) return failure(path, errno);
    if (auto done = write_all(*file, path, id); !done) return fail(done.error());
    return file;
}

std::string program_folder()
{
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    return length > 0 ? folder_of(std::string(path, static_cast<std::size_t>(length))) : std::string("/usr/bin");
}

std::string sibling_program(std::string_view name) { return fmt::format("{}/{}", program_folder(), name); }

std::string home_folder()
{
    if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') return home;
    passwd entry{};
    passwd* found = nullptr;
    std::string text(16384, '\0');
    if (getpwuid_r(geteuid(), &entry, text.data(), text.size(), &found) == 0 && found != nullptr) return entry.pw_dir;
    return "/";
}

std::string config_folder()
{
    if (const char* folder = std::getenv("XDG_CONFIG_HOME"); folder != nullptr && *folder == '/') return fmt::format("{}/millwright", folder);
    return fmt::format("{}/.config/millwright", home_folder());
}

}  // namespace mill::platform
