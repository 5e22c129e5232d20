#include "platform/privileges.h"

#include <cerrno>

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/core.h>

#include "platform/base/os_error.h"

namespace mill::platform {
namespace {

constexpr int kKept[] = {CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER};

bool is_kept(int capability)
{
    for (const int kept : kKept)
        if (kept == capability) return true;
    return false;
}

}  // namespace

Status keep_starter_privileges()
{
    if (::geteuid() != 0) return {};
    (void)::setgroups(0, nullptr);  // or files of root's groups were open to whoever we act for
    const auto failure = [](const char* what) { return fail(Errc::unavailable, fmt::format("cannot give up privileges: {}: {}", what, os_error(errno))); };
    // The set that bounds children first: giving that up needs a capability that goes afterwards. Who has not got it gives up its own all the same.
    Status bounded;
    for (int each = 0; ::prctl(PR_CAPBSET_READ, each, 0, 0, 0) >= 0; ++each)
        if (!is_kept(each) && ::prctl(PR_CAPBSET_READ, each, 0, 0, 0) == 1 && ::prctl(PR_CAPBSET_DROP, each, 0, 0, 0) != 0) bounded = failure("bounding set");
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct has[_LINUX_CAPABILITY_U32S_3] = {};
    if (::syscall(SYS_capget, &header, has) != 0) return failure("capget");
    __user_cap_data_struct keeps[_LINUX_CAPABILITY_U32S_3] = {};
    for (const int each : kKept) {
        const std::uint32_t bit = 1U << (static_cast<unsigned>(each) % 32U);
        auto& word = keeps[each / 32];
        word.permitted |= bit & has[each / 32].permitted;
        word.effective |= bit & has[each / 32].permitted;
    }
    if (::syscall(SYS_capset, &header, keeps) != 0) return failure("capset");
    return bounded;
}

Status become_owner_of(const std::string& folder)
{
    struct stat info {};
    if (::geteuid() != 0 || ::lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid == 0) return {};
    if (::setgroups(0, nullptr) != 0 || ::setresgid(info.st_gid, info.st_gid, info.st_gid) != 0 || ::setresuid(info.st_uid, info.st_uid, info.st_uid) != 0)
        return fail(Errc::denied, fmt::format("{} belongs to user {}, whom this process cannot become: {}", folder, info.st_uid, os_error(errno)));
    return {};
}

}  // namespace mill::platform
