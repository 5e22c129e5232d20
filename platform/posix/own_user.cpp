#include "platform/own_user.h"

#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/os_error.h"

namespace mill::platform {

std::uint32_t own_user() { return ::geteuid(); }

Status is_ours_or_roots(const std::string& path)
{
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0)
        return fail(errno == ENOENT || errno == ENOTDIR ? Errc::not_found : errno == EACCES ? Errc::denied : Errc::unavailable, fmt::format("{}: {}", path, os_error(errno)));
    if (S_ISLNK(info.st_mode)) return fail(Errc::denied, path + " is a link, which is not followed");
    if (info.st_uid != ::geteuid() && info.st_uid != 0)
        return fail(Errc::denied, fmt::format("{} belongs to the user {}, not to this one ({}): it is not trusted", path, info.st_uid, ::geteuid()));
    return {};
}

}  // namespace mill::platform
