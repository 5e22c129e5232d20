// Landlock by its system calls: Debian 12 has no library for it, and its headers end at ABI 3.
#include "platform/confine_files.h"

#include <cerrno>

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/core.h>

#include "platform/base/os_error.h"
#include "platform/linux/apart.h"

namespace mill::platform {
namespace {

// Values of the kernel's <linux/landlock.h>, 6.12.
constexpr std::uint64_t kTruncate = 1ULL << 14, kBindTcp = 1ULL << 0, kConnectTcp = 1ULL << 1, kAbstractSockets = 1ULL << 0, kSignals = 1ULL << 1;
constexpr unsigned kPortRule = 2;

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kStart = kRead | LANDLOCK_ACCESS_FS_EXECUTE;
constexpr std::uint64_t kOfFiles = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE | kTruncate;

struct Ruleset {
    std::uint64_t files = 0, ports = 0, scoped = 0;
};
struct Port {
    std::uint64_t allowed = 0, port = 0;
};

class Descriptor {  // this file stands alone: programs that only confine themselves link nothing else
public:
    explicit Descriptor(long number) : number_(static_cast<int>(number)) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor()
    {
        if (valid()) ::close(number_);
    }
    bool valid() const { return number_ >= 0; }
    int native() const { return number_; }

private:
    int number_;
};

/// All that is about files and that this kernel knows; devices' ioctls stay free, programs ask their terminals many things.
std::uint64_t known(int abi)
{
    std::uint64_t all = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1;
    if (abi >= 2) all |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3) all |= kTruncate;
    return all;
}

Status refused(const char* what, std::string_view of)
{
    return fail(Errc::unavailable, fmt::format("cannot confine the files: {} {}: {}", what, of, os_error(errno)));
}

Status allow(const Descriptor& rules, const std::string& path, std::uint64_t access)
{
    const Descriptor place(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat status {};
    if (!place.valid() || ::fstat(place.native(), &status) != 0) return {};  // what cannot be reached needs no rule
    landlock_path_beneath_attr rule{};
    rule.allowed_access = S_ISDIR(status.st_mode) ? access : access & kOfFiles;
    rule.parent_fd = place.native();
    if (::syscall(SYS_landlock_add_rule, rules.native(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) return refused("rule for", path);
    return {};
}

}  // namespace

int can_confine_files()
{
    static const int abi = [] {
        const long found = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
        return found > 0 ? static_cast<int>(found) : 0;
    }();
    return abi;
}

int apart_rules()
{
    static const int rules = [] {
        const Ruleset asked{0, 0, kAbstractSockets | kSignals};
        return can_confine_files() >= 6 ? static_cast<int>(::syscall(SYS_landlock_create_ruleset, &asked, sizeof asked, 0)) : -1;
    }();
    return rules;
}

Status confine_files(const FileAccess& access)
{
    const int abi = can_confine_files();
    if (abi == 0) return {};
    Ruleset asked;
    asked.files = known(abi);
    if (access.ports && abi >= 4) asked.ports = kBindTcp | kConnectTcp;
    if (access.apart && abi >= 6) asked.scoped = kAbstractSockets | kSignals;
    // A kernel refuses members that it does not know, unless the size leaves them out.
    const std::size_t size = abi >= 6 ? sizeof asked : abi >= 4 ? 2 * sizeof asked.files : sizeof asked.files;
    const Descriptor rules(::syscall(SYS_landlock_create_ruleset, &asked, size, 0));
    if (!rules.valid()) return refused("set of", "rules");
    const auto allow_all = [&](const std::vector<std::string>& paths, std::uint64_t what) {
        Status done;
        for (const std::string& path : paths)
            if (done) done = allow(rules, path, what & asked.files);
        return done;
    };
    if (auto ok = allow_all(access.read, kRead); !ok) return ok;
    if (auto ok = allow_all(access.start, kStart); !ok) return ok;
    if (auto ok = allow_all(access.write, asked.files & ~std::uint64_t{LANDLOCK_ACCESS_FS_EXECUTE}); !ok) return ok;
    if (asked.ports != 0)
        for (const std::uint16_t number : *access.ports) {
            const Port port{kConnectTcp, number};
            if (::syscall(SYS_landlock_add_rule, rules.native(), kPortRule, &port, 0) != 0) return refused("rule for port", std::to_string(number));
        }
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return refused("no new", "privileges");
    if (::syscall(SYS_landlock_restrict_self, rules.native(), 0) != 0) return refused("putting them", "in force");
    return {};
}

}  // namespace mill::platform
