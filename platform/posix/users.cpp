#include <cerrno>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/process.h"

namespace mill::platform {

std::optional<User> find_user(const std::string& name)
{
    passwd entry{};
    passwd* found = nullptr;
    std::string text(16384, '\0');
    if (getpwnam_r(name.c_str(), &entry, text.data(), text.size(), &found) != 0 || found == nullptr) return std::nullopt;
    return User{entry.pw_uid, entry.pw_gid};
}

bool is_root() { return geteuid() == 0; }

std::optional<User> owner_of(const std::string& path)
{
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0) return std::nullopt;
    return User{info.st_uid, info.st_gid};
}

namespace {

constexpr int kDeepest = 32;

/// Whoever owns what lies around it may rename and link while we look: each thing is opened without following links, looked at, and given by
/// what was opened. What has another name elsewhere is left alone.
Status give_at(int folder, const char* name, User user, const std::string& except, int depth)
{
    const auto failure = [&](const char* what) { return fail(Errc::denied, fmt::format("'{}' {} user {}: {}", name, what, user.uid, os_error(errno))); };
    const Handle item(::openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!item.valid()) return errno == ENOENT ? Status() : failure("cannot be looked at for");
    struct stat info {};
    if (::fstat(item.native(), &info) != 0) return failure("cannot be looked at for");
    if (S_ISDIR(info.st_mode)) {
        if (depth == 0) return fail(Errc::invalid, fmt::format("'{}' lies too deep to be given to user {}", name, user.uid));
        const int inside = ::openat(item.native(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR* entries = inside < 0 ? nullptr : ::fdopendir(inside);
        if (entries == nullptr) {
            if (inside >= 0) ::close(inside);
            return failure("cannot be read for");
        }
        Status done;
        while (const dirent* entry = done ? ::readdir(entries) : nullptr) {
            const std::string_view each = entry->d_name;
            if (each != "." && each != ".." && each != except) done = give_at(::dirfd(entries), entry->d_name, user, {}, depth - 1);
        }
        ::closedir(entries);
        if (!done) return done;
    } else if (!S_ISREG(info.st_mode) || info.st_nlink != 1) {
        return {};
    }
    if (::fchownat(item.native(), "", user.uid, user.gid, AT_EMPTY_PATH) != 0) return failure("cannot be given to");
    return {};
}

}  // namespace

Status give_tree(const std::string& path, User user, const std::string& except)
{
    auto done = give_at(AT_FDCWD, path.c_str(), user, except, kDeepest);
    if (!done) return fail(path, std::move(done.error()));
    return done;
}

std::map<std::string, std::string> environment_for_children()
{
    std::map<std::string, std::string> out;
    for (char** item = environ; item != nullptr && *item != nullptr; ++item) {
        const std::string_view text = *item;
        const auto cut = text.find('=');
        if (cut == std::string_view::npos || cut == 0) continue;
        const std::string_view name = text.substr(0, cut);
        if (name == "NOTIFY_SOCKET" || name == "MAINPID" || name == "CREDENTIALS_DIRECTORY" || name.starts_with("LISTEN_") || name.starts_with("WATCHDOG_")) continue;
        out.emplace(name, text.substr(cut + 1));
    }
    return out;
}

}  // namespace mill::platform
