#include "platform/mounted.h"

#include <cerrno>

#include <fmt/format.h>

#include "platform/base/os_error.h"
#include "platform/linux/mounted.h"

namespace mill::platform {

std::string mounted_identity(const struct stat& info) { return fmt::format("{}:{}", info.st_dev, info.st_ino); }

Status check_mounted(const std::string& said)
{
    const std::size_t sign = said.rfind('=');
    const std::string place = said.substr(0, sign);
    struct stat info {};
    if (sign == std::string::npos || lstat(place.c_str(), &info) != 0)
        return fail(Errc::denied, fmt::format("'{}' was granted and is not in the sandbox: {}", place, sign == std::string::npos ? "nothing is said of it" : os_error(errno)));
    if (mounted_identity(info) == said.substr(sign + 1)) return {};
    return fail(Errc::denied, fmt::format("'{}' was exchanged for something else while the sandbox was made: somebody may rename what lies above it", place));
}

}  // namespace mill::platform
