#include "platform/folder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/core.h>

#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/os_error.h"

namespace mill::platform {
namespace {

constexpr std::uint64_t kBeneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

tl::unexpected<Error> failure(std::string_view what, std::string_view name)
{
    const int number = errno;
    const std::string shown = name.empty() ? "the folder" : fmt::format("'{}'", name);
    switch (number) {
    case ENOENT: return fail(Errc::not_found, fmt::format("{}: {} does not exist", what, shown));
    case ENOTDIR: return fail(Errc::not_found, fmt::format("{}: a part of {} is not a folder", what, shown));
    case ELOOP: return fail(Errc::denied, fmt::format("{}: {} is, or lies behind, a symbolic link", what, shown));
    case EXDEV: return fail(Errc::denied, fmt::format("{}: {} leads out of its folder", what, shown));
    case EACCES:
    case EPERM:
    case EROFS: return fail(Errc::denied, fmt::format("{}: {}: {}", what, shown, os_error(number)));
    case EEXIST: return fail(Errc::conflict, fmt::format("{}: {} exists already", what, shown));
    case EISDIR: return fail(Errc::invalid, fmt::format("{}: {} is a folder", what, shown));
    case EINVAL:
    case ENAMETOOLONG: return fail(Errc::invalid, fmt::format("{}: {}: {}", what, shown, os_error(number)));
    default: return fail(Errc::unavailable, fmt::format("{}: {}: {}", what, shown, os_error(number)));
    }
}

std::string& kept_out()  // with '/' behind it; empty: none
{
    static std::string folder;
    return folder;
}

/// By what was opened, not by its name: it may have been renamed or mounted meanwhile.
Status may_open(const Handle& opened, std::string_view name)
{
    if (kept_out().empty()) return {};
    char path[PATH_MAX];
    const ssize_t size = ::readlink(fmt::format("/proc/self/fd/{}", opened.native()).c_str(), path, sizeof path - 1);
    if (size > 0) {
        path[size] = '/';
        if (!std::string_view(path, static_cast<std::size_t>(size) + 1).starts_with(kept_out())) return {};
    }
    return fail(Errc::denied, fmt::format("'{}' is a folder of Millwright's own, or lies in it: it cannot be granted", name));
}

/// On a kernel without openat2: part by part, each refused when it is a link.
Result<Handle> open_by_parts(int folder, std::string_view name, int flags, unsigned mode)
{
    Handle here(::openat(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!here.valid()) return failure("cannot open", name);
    for (std::size_t from = 0;;) {
        const std::size_t end = std::min(name.find('/', from), name.size());
        const std::string part(name.substr(from, end - from));
        if (part == "..") return fail(Errc::denied, fmt::format("cannot open: '{}' leads out of its folder", name));
        const bool last = name.find_first_not_of('/', end) == std::string_view::npos;
        const int how = last ? flags : O_PATH | O_DIRECTORY;
        Handle next(::openat(here.native(), part.empty() ? "." : part.c_str(), how | O_NOFOLLOW | O_CLOEXEC, mode));
        struct stat status {};
        const int number = errno;
        // A link is ENOTDIR here when a folder was asked for: say what it is.
        if (!next.valid() && number == ENOTDIR && ::fstatat(here.native(), part.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
            errno = ELOOP;
        else
            errno = number;
        if (!next.valid()) return failure("cannot open", name);
        if (last) return next;
        here = std::move(next);
        from = name.find_first_not_of('/', end);
    }
}

Result<Handle> open_beneath(int folder, std::string_view name, int flags, unsigned mode = 0)
{
    if (name.find('\0') != std::string_view::npos) return fail(Errc::invalid, "a file name holds a zero byte");
    if (!name.empty() && name.front() == '/') return fail(Errc::invalid, fmt::format("'{}' is not a relative name", name));
    const std::string text = name.empty() ? "." : std::string(name);
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.mode = mode;
    how.resolve = kBeneath;
    long fd = -1;
    do {
        fd = ::syscall(SYS_openat2, folder, text.c_str(), &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    Handle opened(static_cast<int>(fd));
    if (fd < 0 && errno == ENOSYS) {
        auto by_parts = open_by_parts(folder, name, flags, mode);
        if (!by_parts) return by_parts;
        opened = std::move(*by_parts);
    }
    if (!opened.valid()) return failure("cannot open", name);
    if (auto ok = may_open(opened, name); !ok) return fail(ok.error());
    return opened;
}

FolderEntry entry_of(const struct stat& status, std::string name)
{
    FolderEntry entry;
    entry.name = std::move(name);
    if (S_ISREG(status.st_mode)) entry.type = FolderEntry::Type::file;
    else if (S_ISDIR(status.st_mode)) entry.type = FolderEntry::Type::folder;
    else if (S_ISLNK(status.st_mode)) entry.type = FolderEntry::Type::link;
    entry.size = static_cast<std::uint64_t>(status.st_size);
    entry.mode = status.st_mode & 0777;
    entry.modified = WallTime{status.st_mtim.tv_sec * 1'000'000LL + status.st_mtim.tv_nsec / 1000};
    entry.device = static_cast<std::uint64_t>(status.st_dev);
    entry.inode = static_cast<std::uint64_t>(status.st_ino);
    return entry;
}

Status write_all(int fd, std::string_view bytes, std::string_view name)
{
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failure("cannot write", name);
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
}

class LinuxNewFile : public NewFile {
public:
    LinuxNewFile(Handle folder, Handle file, std::string temporary, std::string name)
        : folder_(std::move(folder)), file_(std::move(file)), temporary_(std::move(temporary)), name_(std::move(name))
    {
    }
    ~LinuxNewFile() override
    {
        if (!temporary_.empty()) ::unlinkat(folder_.native(), temporary_.c_str(), 0);
    }
    Status append(std::string_view bytes) override { return write_all(file_.native(), bytes, name_); }
    Status commit() override
    {
        struct stat status {};
        if (::fstatat(folder_.native(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode))
            return fail(Errc::conflict, fmt::format("cannot write: '{}' exists and is not a regular file", name_));
        if (::fsync(file_.native()) != 0) return failure("cannot sync", name_);
        if (::renameat(folder_.native(), temporary_.c_str(), folder_.native(), name_.c_str()) != 0)
            return failure("cannot put in place", name_);
        temporary_.clear();
        if (::fsync(folder_.native()) != 0 && errno != EINVAL) return failure("cannot sync the folder of", name_);
        return {};
    }
    const Handle& handle() const override { return file_; }
    FolderEntry look() const override
    {
        struct stat status {};
        ::fstat(file_.native(), &status);
        return entry_of(status, name_);
    }

private:
    Handle folder_, file_;
    std::string temporary_, name_;
};

}  // namespace

Result<Folder> Folder::open(const std::string& path)
{
    if (path.empty() || path.front() != '/') return fail(Errc::invalid, fmt::format("'{}' is not an absolute path", path));
    const Handle root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root.valid()) return failure("cannot open", "/");
    const std::size_t start = path.find_first_not_of('/');
    auto handle = open_beneath(root.native(), start == std::string::npos ? "" : std::string_view(path).substr(start),
                               O_RDONLY | O_DIRECTORY);
    // A folder may admit passing through it without admitting to list it.
    if (!handle && handle.error().code == Errc::denied)
        handle = open_beneath(root.native(), start == std::string::npos ? "" : std::string_view(path).substr(start),
                              O_PATH | O_DIRECTORY);
    if (!handle) return fail(handle.error());
    return Folder(std::move(*handle));
}

Result<Folder> Folder::folder(std::string_view name) const
{
    auto handle = open_beneath(handle_.native(), name, O_RDONLY | O_DIRECTORY);
    if (!handle) return fail(handle.error());
    return Folder(std::move(*handle));
}

Result<Folder> Folder::parent(std::string_view name, std::string& last) const
{
    const std::size_t slash = name.rfind('/');
    last = std::string(slash == std::string_view::npos ? name : name.substr(slash + 1));
    if (last.empty() || last == "." || last == ".." || last.find('\0') != std::string::npos)
        return fail(Errc::invalid, fmt::format("'{}' does not name a file", name));
    const std::string_view above = slash == std::string_view::npos ? std::string_view{} : name.substr(0, slash);
    auto opened = folder(above);
    if (opened || opened.error().code != Errc::denied) return opened;
    // As in open(): passed through, not listed.
    auto handle = open_beneath(handle_.native(), above, O_PATH | O_DIRECTORY);
    if (!handle) return fail(handle.error());
    return Folder(std::move(*handle));
}

Result<FolderEntry> Folder::look(std::string_view name) const
{
    std::string last;
    struct stat status {};
    if (name.empty()) {
        if (::fstat(handle_.native(), &status) != 0) return failure("cannot look at", name);
        return entry_of(status, ".");
    }
    auto in = parent(name, last);
    if (!in) return fail(in.error());
    if (::fstatat(in->handle_.native(), last.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return failure("cannot look at", name);
    return entry_of(status, last);
}

Result<std::vector<FolderEntry>> Folder::list(std::size_t max_entries) const
{
    auto again = open_beneath(handle_.native(), "", O_RDONLY | O_DIRECTORY);
    if (!again) return fail(again.error());
    DIR* stream = ::fdopendir(again->native());
    if (stream == nullptr) return failure("cannot list", "");
    again->release();
    const std::unique_ptr<DIR, int (*)(DIR*)> closer(stream, ::closedir);
    std::vector<FolderEntry> entries;
    for (errno = 0; const dirent* item = ::readdir(stream); errno = 0) {
        const std::string_view name = item->d_name;
        if (name == "." || name == "..") continue;
        if (entries.size() >= max_entries)
            return fail(Errc::too_large, fmt::format("the folder has more than {} entries", max_entries));
        struct stat status {};
        if (::fstatat(handle_.native(), item->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone meanwhile
        entries.push_back(entry_of(status, std::string(name)));
    }
    if (errno != 0) return failure("cannot list", "");
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
}

Result<Handle> Folder::open_file(std::string_view name) const
{
    // O_NONBLOCK: a FIFO or device must not hold us up before we can refuse it.
    auto file = open_beneath(handle_.native(), name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return file;
    struct stat status {};
    if (::fstat(file->native(), &status) != 0) return failure("cannot look at", name);
    if (!S_ISREG(status.st_mode)) return fail(Errc::invalid, fmt::format("'{}' is not a regular file", name));
    return file;
}

Result<std::string> Folder::read(std::string_view name, std::size_t max_bytes) const
{
    auto file = open_file(name);
    if (!file) return fail(file.error());
    std::string bytes;
    while (bytes.size() <= max_bytes) {
        auto piece = read_some(*file, std::min<std::size_t>(max_bytes + 1 - bytes.size(), 1 << 20));
        if (!piece) return fail(piece.error());
        if (piece->empty()) return bytes;
        bytes += *piece;
    }
    return fail(Errc::too_large, fmt::format("'{}' has more than {} bytes", name, max_bytes));
}

Result<std::uint64_t> Folder::write(std::string_view name, std::string_view bytes, WriteMode mode) const
{
    if (mode == WriteMode::replace) {
        auto file = new_file(name);
        if (!file) return fail(file.error());
        if (auto ok = (*file)->append(bytes); !ok) return fail(ok.error());
        if (auto ok = (*file)->commit(); !ok) return fail(ok.error());
        return bytes.size();
    }
    std::string last;
    auto in = parent(name, last);  // before anything is made
    if (!in) return fail(in.error());
    const int how = mode == WriteMode::create ? O_CREAT | O_EXCL : O_CREAT | O_APPEND;
    auto file = open_beneath(in->handle_.native(), last, O_WRONLY | O_NONBLOCK | O_NOCTTY | how, 0644);
    if (!file) return fail(file.error());
    struct stat status {};
    if (::fstat(file->native(), &status) != 0) return failure("cannot look at", name);
    if (!S_ISREG(status.st_mode)) return fail(Errc::invalid, fmt::format("'{}' is not a regular file", name));
    if (status.st_nlink > 1)
        return fail(Errc::conflict, fmt::format("'{}' has several names (hard links): it is not appended to", name));
    if (auto ok = write_all(file->native(), bytes, name); !ok) return fail(ok.error());
    if (::fsync(file->native()) != 0) return failure("cannot sync", name);
    if (::fstat(file->native(), &status) != 0) return failure("cannot look at", name);
    return static_cast<std::uint64_t>(status.st_size);
}

Result<std::unique_ptr<NewFile>> Folder::new_file(std::string_view name) const
{
    std::string last;
    auto in = parent(name, last);
    if (!in) return fail(in.error());
    const std::string temporary = fmt::format(".millwright-{}", to_hex(random_bytes(8)));
    auto file = open_beneath(in->handle_.native(), temporary, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (!file) return fail(Error{file.error().code, fmt::format("cannot write '{}': {}", name, file.error().what)});
    return std::make_unique<LinuxNewFile>(std::move(in->handle_), std::move(*file), temporary, last);
}

Status Folder::make_folder(std::string_view name) const
{
    std::size_t from = 0;
    while (from <= name.size()) {
        std::size_t end = name.find('/', from);
        if (end == std::string_view::npos) end = name.size();
        const std::string_view path = name.substr(0, end);
        std::string last;
        if (!path.empty()) {
            auto in = parent(path, last);
            if (!in) return fail(in.error());
            if (::mkdirat(in->handle_.native(), last.c_str(), 0755) != 0 && errno != EEXIST)
                return failure("cannot make", path);
        }
        from = end + 1;
    }
    auto made = folder(name);
    return made ? Status{} : Status(fail(made.error()));
}

Status keep_out_of(const std::string& folder)
{
    char real[PATH_MAX];
    if (::realpath(folder.c_str(), real) == nullptr) return failure("cannot keep out of", folder);
    kept_out() = std::string(real) + "/";
    return {};
}

Result<std::string> read_some(const Handle& handle, std::size_t max_bytes)
{
    std::string bytes(max_bytes, '\0');
    ssize_t count = 0;
    do {
        count = ::read(handle.native(), bytes.data(), bytes.size());
    } while (count < 0 && errno == EINTR);
    if (count < 0) return failure("cannot read", "the file");
    bytes.resize(static_cast<std::size_t>(count));
    return bytes;
}

}  // namespace mill::platform
