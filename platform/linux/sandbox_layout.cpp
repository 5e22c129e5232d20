#include "platform/linux/sandbox_layout.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/os_error.h"
#include "platform/crypto.h"
#include "platform/files.h"
#include "platform/linux/isolation.h"
#include "platform/linux/mounted.h"
#include "platform/mounted.h"

namespace mill::platform {
namespace {

constexpr const char* kStage = "/run/millwright/programs";

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// True when a user without any right of ours can reach and read it.
bool open_to_others(const std::string& path)
{
    struct stat info {};
    for (std::size_t cut = path.find('/', 1); cut != std::string::npos; cut = path.find('/', cut + 1))
        if (stat(path.substr(0, cut).c_str(), &info) != 0 || (info.st_mode & S_IXOTH) == 0) return false;
    return stat(path.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0;
}

Result<std::string> real_path(const std::string& path)
{
    char resolved[PATH_MAX];
    if (realpath(path.c_str(), resolved) == nullptr)
        return fail(errno == ENOENT || errno == ENOTDIR ? Errc::not_found : Errc::denied, fmt::format("{}: {}", path, os_error(errno)));
    return std::string(resolved);
}

/// A program in a folder that the sandbox's user cannot enter is copied once to where it can.
Result<std::string> reachable_program(const SandboxSpec& spec)
{
    auto path = real_path(spec.program);
    if (!path) return fail("sandbox", path.error());
    if (!spec.uid || open_to_others(*path)) return path;
    struct stat info {};
    stat(path->c_str(), &info);
    const std::string mark = fmt::format("{}:{}:{}:{}", *path, info.st_ino, info.st_size, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec);
    const std::string folder = fmt::format("{}/{}", kStage, to_hex(sha256(mark)).substr(0, 24));
    const std::string copy = folder + "/" + base_name(*path);
    if (exists(copy)) return copy;
    auto bytes = read_file(*path, 512UL * 1024 * 1024);
    if (!bytes) return fail("sandbox", bytes.error());
    if (auto made = make_folder(folder, 0755); !made) return fail("sandbox", made.error());
    if (auto written = write_file(copy, *bytes, 0755); !written) return fail("sandbox", written.error());
    return copy;
}

bool lies_in(const std::string& path, const std::string& folder)
{
    return path == folder || folder == "/" || path.starts_with(folder + "/");
}

/// While it lives, files are opened with the rights of the sandbox's user, and no others. Thread: the only one (the keeper's).
class AsUser {
public:
    explicit AsUser(const SandboxSpec& spec) : active_(spec.uid && geteuid() == 0)
    {
        if (!active_) return;
        setfsgid(spec.gid.value_or(65534));
        setfsuid(*spec.uid);
    }
    AsUser(const AsUser&) = delete;
    AsUser& operator=(const AsUser&) = delete;
    ~AsUser()
    {
        if (!active_) return;
        setfsuid(0);
        setfsgid(0);
    }

private:
    const bool active_;
};

struct Granted {
    std::string path;
    Handle place;  ///< held so that no other thing gets its inode
};

/// A granted path as the broker takes it: reached by the job's user, no part of it a link. A link in a folder that a job may write would lead
/// where nobody granted anything.
Result<Granted> path_without_links(const std::string& path, const SandboxSpec& spec)
{
    const Handle root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const std::size_t start = path.find_first_not_of('/');
    const AsUser rights(spec);
    Handle opened(static_cast<int>(syscall(SYS_openat2, root.native(), start == std::string::npos ? "." : path.c_str() + start, &how, sizeof how)));
    if (opened.valid()) {
        std::string clean;
        for (const char c : path)  // as it is seen by those who compare: without doubled and last slashes
            if (c != '/' || clean.empty() || clean.back() != '/') clean += c;
        while (clean.size() > 1 && clean.back() == '/') clean.pop_back();
        return Granted{std::move(clean), std::move(opened)};
    }
    if (errno == ELOOP) {
        const auto real = real_path(path);
        return fail(Errc::denied, fmt::format("'{}' is, or lies behind, a symbolic link: a grant names the real path{}", path, real ? " (" + *real + ")" : ""));
    }
    const int number = errno;
    return fail(number == ENOENT || number == ENOTDIR ? Errc::not_found : Errc::denied, fmt::format("{}: {}, for the user that jobs run as", path, os_error(number)));
}

const char* refused_place(const std::string& inside, bool writable)
{
    const auto below = [&](const char* folder) { return lies_in(inside, folder); };
    if (!inside.starts_with('/') || (inside + "/").find("/../") != std::string::npos) return "is no absolute path";
    if (inside == "/") return "is everything, which is never mounted";
    for (const char* folder : {"/proc", "/sys", "/dev", "/millwright", "/run/millwright", "/run/credentials"})
        if (below(folder)) return "is not mounted into a sandbox";
    if (inside == "/work" || inside == "/tmp" || inside == "/etc") return "has a private stand-in in the sandbox; grant what lies below it";
    for (const char* folder : {"/usr", "/bin", "/sbin", "/lib", "/lib64"})
        if (writable && below(folder)) return "cannot be written from a sandbox";
    return nullptr;
}

class Builder {
public:
    Builder(const SandboxSpec& spec, int first)
        : spec_(spec), kept_out_(spec.kept_out.empty() ? std::string() : real_path(spec.kept_out).value_or(spec.kept_out)), next_(first)
    {
    }

    void add(std::initializer_list<std::string> words) { out_.arguments.insert(out_.arguments.end(), words); }

    void base(int filter, int info)
    {
        if (kernel_allows().disable_userns) add({"--disable-userns"});
        add({"--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL",
             "--hostname", "sandbox", "--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin", "--setenv", "HOME", "/work", "--setenv", "TMPDIR",
             "/tmp", "--setenv", "LANG", "C.UTF-8", "--ro-bind", "/usr", "/usr"});
        for (const char* folder : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
            struct stat what {};
            char target[PATH_MAX] = {};
            if (lstat(folder, &what) != 0) continue;
            if (S_ISLNK(what.st_mode) && readlink(folder, target, sizeof target - 1) > 0) add({"--symlink", target, folder});
            else add({"--ro-bind", folder, folder});
        }
        if (kernel_allows().fresh_proc) add({"--proc", "/proc"});
        else add({"--dir", "/proc"});
        add({"--dev", "/dev"});
        for (const char* path : {"/etc/ld.so.cache", "/etc/alternatives"}) add({"--ro-bind-try", path, path});
        const std::string size = std::to_string(std::max<std::uint64_t>(spec_.limits.output.bytes, 65536));
        add({"--size", size, "--tmpfs", "/tmp", "--size", size, "--tmpfs", "/work", "--perms", "1777", "--size", size, "--tmpfs", "/dev/shm",
             "--remount-ro", "/dev"});
        add({"--seccomp", std::to_string(filter), "--info-fd", std::to_string(info)});
    }

    Status mount(const Mount& mount)
    {
        if (const char* wrong = refused_place(mount.inside, mount.writable)) return fail(Errc::denied, fmt::format("'{}' {}", mount.inside, wrong));
        auto outside = mount.granted ? granted(mount) : real_path(mount.outside);
        if (!outside) return fail(outside.error());
        const bool keep_out = mount.granted && !kept_out_.empty();
        if (keep_out && lies_in(*outside, kept_out_))
            return fail(Errc::denied, fmt::format("'{}' leads to {}, a folder of Millwright's own: it cannot be granted", mount.outside, *outside));
        if (keep_out && lies_in(kept_out_, *outside)) covered_.push_back(mount.inside + kept_out_.substr(*outside == "/" ? 0 : outside->size()));
        for (const char* folder : {"/proc", "/sys", "/dev"})  // a link may lead where the name does not
            if (*outside == "/" || lies_in(*outside, folder))
                return fail(Errc::denied, fmt::format("'{}' leads to {}, which is not mounted into a sandbox", mount.outside, *outside));
        if (mount.writable) {
            add({"--bind", *outside, mount.inside});
            return {};
        }
        struct stat info {};
        if (stat(outside->c_str(), &info) != 0) return fail(Errc::denied, fmt::format("{}: {}", *outside, os_error(errno)));
        if (mount.granted || !spec_.uid || !S_ISREG(info.st_mode) || open_to_others(*outside)) {
            add({"--ro-bind", *outside, mount.inside});
            return {};
        }
        // A file of ours, such as a package, that the sandbox's user could not open by its name: we open it, bubblewrap copies it.
        Handle file(open(outside->c_str(), O_RDONLY | O_CLOEXEC));
        if (!file.valid()) return fail(Errc::denied, fmt::format("{}: {}", *outside, os_error(errno)));
        add({"--perms", "0444", "--ro-bind-data", std::to_string(next_), mount.inside});
        out_.files.emplace_back(next_++, std::move(file));
        return {};
    }

    Layout take(const std::string& program)
    {
        for (const std::string& inside : covered_) add({"--perms", "0000", "--tmpfs", inside, "--remount-ro", inside});
        const std::string inside = "/millwright/" + base_name(spec_.program);
        add({"--ro-bind", program, inside, "--chdir", "/work", "--remount-ro", "/", "--", inside});
        out_.arguments.insert(out_.arguments.end(), spec_.arguments.begin(), spec_.arguments.end());
        for (std::string& mounted : mounted_) add({kMountedOption, std::move(mounted)});
        return std::move(out_);
    }

private:
    Result<std::string> granted(const Mount& mount)
    {
        auto found = path_without_links(mount.outside, spec_);
        if (!found) return fail(found.error());
        struct stat info {};
        if (fstat(found->place.native(), &info) != 0) return fail(Errc::denied, fmt::format("{}: {}", found->path, os_error(errno)));
        mounted_.push_back(mount.inside + "=" + mounted_identity(info));
        out_.granted.push_back(std::move(found->place));
        return std::move(found->path);
    }

    const SandboxSpec& spec_;
    const std::string kept_out_;
    std::vector<std::string> covered_;  // places inside where it would be seen
    std::vector<std::string> mounted_;  // words of kMountedOption
    int next_;
    Layout out_;
};

}  // namespace

Result<Layout> make_layout(const SandboxSpec& spec, int first, int filter, int info)
{
    auto program = reachable_program(spec);
    if (!program) return fail(program.error());
    Builder builder(spec, first);
    builder.base(filter, info);
    std::vector<Mount> mounts = spec.mounts;  // the outer ones first, so that an inner one is not hidden
    std::stable_sort(mounts.begin(), mounts.end(), [](const Mount& a, const Mount& b) { return a.inside < b.inside; });
    for (const Mount& mount : mounts)
        if (auto ok = builder.mount(mount); !ok) return fail("sandbox", ok.error());
    return builder.take(*program);
}

}  // namespace mill::platform
