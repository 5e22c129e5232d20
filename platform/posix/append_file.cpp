#include "platform/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "platform/base/os_error.h"

namespace mill::platform {
namespace {

tl::unexpected<Error> io_error(std::string_view what, int error)
{
    const Errc code = error == EACCES || error == EPERM ? Errc::denied : error == ENOENT ? Errc::not_found : Errc::unavailable;
    return fail(code, fmt::format("{}: {}", what, os_error(error)));
}

}  // namespace

Result<AppendFile> AppendFile::open(const std::string& path, unsigned mode)
{
    Handle handle(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!handle.valid()) return io_error("cannot open " + path, errno);
    struct stat status {};
    if (::fstat(handle.native(), &status) != 0) return io_error("cannot look at " + path, errno);
    if (!S_ISREG(status.st_mode)) return fail(Errc::invalid, path + " is not a file");
    return AppendFile(std::move(handle), static_cast<std::uint64_t>(status.st_size));
}

Status AppendFile::append(std::string_view bytes)
{
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t n = ::pwrite(handle_.native(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(size_ + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            const int error = errno;
            // A part that stays would be read as a torn record; the next append overwrites it in any case.
            if (::ftruncate(handle_.native(), static_cast<off_t>(size_)) != 0) return io_error("cannot write nor truncate", error);
            return io_error("cannot write", error);
        }
        done += static_cast<std::size_t>(n);
    }
    size_ += bytes.size();
    return {};
}

Result<std::string> AppendFile::read(std::uint64_t offset, std::size_t bytes) const
{
    std::string out(bytes, '\0');
    std::size_t done = 0;
    while (done < bytes) {
        const ssize_t n = ::pread(handle_.native(), out.data() + done, bytes - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return io_error("cannot read", errno);
        if (n == 0) return fail(Errc::corrupt, fmt::format("the file ends at byte {}", offset + done));
        done += static_cast<std::size_t>(n);
    }
    return out;
}

Status AppendFile::sync() const
{
    if (::fdatasync(handle_.native()) != 0) return io_error("cannot sync", errno);
    return {};
}

Status AppendFile::truncate(std::uint64_t size)
{
    if (::ftruncate(handle_.native(), static_cast<off_t>(size)) != 0) return io_error("cannot truncate", errno);
    size_ = size;
    return {};
}

Status replace_file(const std::string& from, const std::string& to)
{
    if (::rename(from.c_str(), to.c_str()) != 0) return io_error(fmt::format("cannot rename {} to {}", from, to), errno);
    const std::size_t slash = to.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : to.substr(0, slash);
    const Handle handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!handle.valid()) return io_error("cannot open " + folder, errno);
    if (::fsync(handle.native()) != 0) return io_error("cannot sync " + folder, errno);
    return {};
}

Status become_program(const std::string& program, const std::vector<std::string>& arguments)
{
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execv(program.c_str(), argv.data());
    return io_error("cannot start " + program, errno);
}

}  // namespace mill::platform
