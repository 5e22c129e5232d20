#include "agent/broker/reach.h"

#include <algorithm>
#include <cstdlib>

#include "platform/files.h"
#include "platform/process.h"

namespace mill::broker {
namespace {

// Resolver, certificates, time zone; the readings of `system.usage`. Folders, not files: what is replaced while a job runs (resolv.conf, when the
// network changes) is another file.
constexpr const char* kRead[] = {"/etc", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/var/run/nscd", "/proc", "/sys", "/dev/urandom", "/dev/random"};
// The helper and its libraries.
constexpr const char* kStart[] = {"/usr", "/lib", "/lib64"};

/// The folder itself; of a file, or of what is not there yet, the nearest one around it: a file is replaced by another beside it.
std::string folder_for(std::string path)
{
    while (path.size() > 1 && !platform::is_folder(path)) path = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
    return path;
}

}  // namespace

platform::FileAccess reach_of(const protocol::Permissions& grants)
{
    platform::FileAccess out;
    out.read.assign(std::begin(kRead), std::end(kRead));
    for (const char* variable : {"SSL_CERT_FILE", "SSL_CERT_DIR"})
        if (const char* place = std::getenv(variable)) out.read.emplace_back(place);
    out.start.assign(std::begin(kStart), std::end(kStart));
    out.start.push_back(platform::program_folder());
    out.write = {"/dev/null"};
    const auto add = [](const std::string& granted, std::vector<std::string>& to) {
        std::string folder = folder_for(granted);
        to.push_back(folder == "/" ? granted : std::move(folder));  // everything only for who was granted everything
    };
    for (const std::string& path : grants.read) add(path, out.read);
    for (const std::string& path : grants.write) add(path, out.write);
    return out;
}

std::string places_of(const protocol::Permissions& grants)
{
    std::string out;
    for (const auto* paths : {&grants.read, &grants.write}) {
        for (const std::string& path : *paths) out += path + '\0' + platform::identity_of(folder_for(path)) + '\0';
        out += '\0';
    }
    return out;
}

}  // namespace mill::broker
