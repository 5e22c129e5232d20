#include "agent/broker/reach.h"

#include <cstdlib>

#include "platform/files.h"
#include "platform/process.h"

namespace mill::broker {
namespace {

// Resolver, certificates, time zone; the readings of `system.usage`.
constexpr const char* kRead[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols",
                                 "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/var/run/nscd", "/etc/ssl", "/etc/pki", "/etc/ca-certificates",
                                 "/etc/ld.so.cache", "/etc/localtime", "/proc", "/sys", "/dev/urandom", "/dev/random"};
// The helper and its libraries.
constexpr const char* kStart[] = {"/usr", "/lib", "/lib64"};

std::string folder_of(const std::string& path)
{
    const auto slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
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
    out.read.insert(out.read.end(), grants.read.begin(), grants.read.end());
    for (const std::string& path : grants.write) {
        out.write.push_back(path);
        // A single file is replaced by way of another beside it, and one that is not there yet is made.
        if (!platform::is_folder(path)) out.write.push_back(folder_of(path));
    }
    return out;
}

}  // namespace mill::broker
