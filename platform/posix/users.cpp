#include <cerrno>
#include <cstring>
#include <filesystem>

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

Status give_tree(const std::string& path, User user)
{
    const auto give = [&](const std::string& item) -> Status {
        if (lchown(item.c_str(), user.uid, user.gid) == 0 || errno == ENOENT) return {};
        return fail(Errc::denied, fmt::format("{}: cannot be given to user {}: {}", item, user.uid, os_error(errno)));
    };
    if (auto ok = give(path); !ok) return ok;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
        if (auto ok = give(entry->path().string()); !ok) return ok;
    if (error) return fail(Errc::unavailable, fmt::format("{}: {}", path, error.message()));
    return {};
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
