#include "agent/broker/reach.h"

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
    while (path.size() > 1 && !platform::is_folder(path)) {
        const auto slash = path.rfind('/');
        path = slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
    }
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
    for (const std::string& path : grants.read) out.read.push_back(folder_for(path));
    for (const std::string& path : grants.write) out.write.push_back(folder_for(path));
    return out;
}

}  // namespace mill::broker
