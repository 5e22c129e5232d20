// The zip form of a package in, by minizip: it needs zlib alone, and a runner is started for every job.
#include "workflows/archive.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include <sys/stat.h>
#include <unzip.h>
#include <zlib.h>

#include <fmt/format.h>

namespace mill::workflows {
namespace {

constexpr const char* kManifest = "manifest.json";
constexpr uLong kEncrypted = 1;
constexpr uLong kUnix = 3;  // "made by", whose attributes hold a file's type

/// The archive in memory, as minizip reads files.
struct Bytes {
    std::string_view all;
    std::size_t at = 0;
};

Bytes& bytes_of(voidpf stream) { return *static_cast<Bytes*>(stream); }

zlib_filefunc64_def functions(Bytes& bytes)
{
    zlib_filefunc64_def out{};
    out.opaque = &bytes;
    out.zopen64_file = [](voidpf opaque, const void*, int) { return opaque; };
    out.zread_file = [](voidpf, voidpf stream, void* into, uLong size) {
        Bytes& from = bytes_of(stream);
        const std::size_t got = std::min<std::size_t>(size, from.all.size() - from.at);
        std::memcpy(into, from.all.data() + from.at, got);
        from.at += got;
        return static_cast<uLong>(got);
    };
    out.zwrite_file = [](voidpf, voidpf, const void*, uLong) { return uLong{0}; };
    out.ztell64_file = [](voidpf, voidpf stream) { return ZPOS64_T{bytes_of(stream).at}; };
    out.zseek64_file = [](voidpf, voidpf stream, ZPOS64_T offset, int origin) -> long {
        Bytes& in = bytes_of(stream);
        const ZPOS64_T base = origin == ZLIB_FILEFUNC_SEEK_CUR ? in.at : origin == ZLIB_FILEFUNC_SEEK_END ? in.all.size() : 0;
        const ZPOS64_T to = base + offset;
        if (to < base || to > in.all.size()) return -1;
        in.at = static_cast<std::size_t>(to);
        return 0;
    };
    out.zclose_file = [](voidpf, voidpf) { return 0; };
    out.zerror_file = [](voidpf, voidpf) { return 0; };
    return out;
}

struct Close { void operator()(void* zip) const { unzClose(zip); } };

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_{bytes}
    {
        zlib_filefunc64_def how = functions(bytes_);
        if (bytes.starts_with("PK")) zip_.reset(unzOpen2_64("", &how));
    }
    bool is_archive() const { return zip_ != nullptr; }

    /// The next regular file's path; "" for a folder; nothing at the end.
    Result<std::optional<std::string>> next()
    {
        const int moved = begun_ ? unzGoToNextFile(zip_.get()) : unzGoToFirstFile(zip_.get());
        begun_ = true;
        if (moved == UNZ_END_OF_LIST_OF_FILE) return std::nullopt;
        char name[512] = {};
        info_ = {};
        if (moved != UNZ_OK || unzGetCurrentFileInfo64(zip_.get(), &info_, name, sizeof name - 1, nullptr, 0, nullptr, 0) != UNZ_OK) return damaged();
        const std::string path(name, std::min<std::size_t>(info_.size_filename, sizeof name - 1));
        const bool has_mode = info_.version >> 8U == kUnix;
        const auto type = static_cast<mode_t>(info_.external_fa >> 16U) & S_IFMT;
        if (path.ends_with('/') || (has_mode && type == S_IFDIR)) return std::string();
        if (has_mode && type != 0 && type != S_IFREG) return fail(Errc::corrupt, fmt::format("'{}' in the package is a link or a special file", path));
        if (!is_package_path(path)) return fail(Errc::corrupt, fmt::format("'{}' is no path within a package", path.substr(0, path.find('\0'))));
        if ((info_.flag & kEncrypted) != 0) return fail(Errc::corrupt, fmt::format("'{}' in the package is encrypted", path));
        return path;
    }

    /// Of the file that `next` named. What the archive says of its size is not believed.
    Result<std::string> content(const std::string& path, std::size_t most)
    {
        if (unzOpenCurrentFile(zip_.get()) != UNZ_OK) return unreadable(path);
        std::string out;
        char buffer[32768];
        for (;;) {
            const int got = unzReadCurrentFile(zip_.get(), buffer, sizeof buffer);
            if (got == 0) break;
            if (got < 0) return unreadable(path);
            if (out.size() + static_cast<std::size_t>(got) > most) return fail(Errc::too_large, fmt::format("'{}' in the package is larger than {} bytes", path, most));
            out.append(buffer, static_cast<std::size_t>(got));
        }
        // Ours to check: minizip holds the sum against what it read only where the sizes agree.
        const uLong sum = crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), out.size());
        if (unzCloseCurrentFile(zip_.get()) != UNZ_OK || out.size() != info_.uncompressed_size || sum != info_.crc) return unreadable(path);
        return out;
    }

private:
    static tl::unexpected<Error> damaged() { return fail(Errc::corrupt, "the package is damaged: its list of files cannot be read"); }
    static tl::unexpected<Error> unreadable(const std::string& path)
    {
        return fail(Errc::corrupt, fmt::format("'{}' in the package cannot be read: it is damaged or packed in a way that is not known", path));
    }

    Bytes bytes_;
    std::unique_ptr<void, Close> zip_;
    unz_file_info64 info_{};
    bool begun_ = false;
};

}  // namespace

bool is_package_path(std::string_view path)
{
    if (path.empty() || path.size() > 500) return false;
    for (const char c : path)
        if (static_cast<unsigned char>(c) < 0x20 || c == '\\' || c == ':' || c == 0x7f) return false;
    std::size_t from = 0;
    while (from <= path.size()) {
        const std::size_t slash = std::min(path.find('/', from), path.size());
        const std::string_view part = path.substr(from, slash - from);
        if (part.empty() || part[0] == '.') return false;
        from = slash + 1;
    }
    return true;
}

Result<std::map<std::string, std::string>> read_archive(std::string_view bytes)
{
    if (bytes.size() > kMostPackageBytes) return fail(Errc::too_large, "the package is larger than 256 MiB");
    Reader reader(bytes);
    if (!reader.is_archive()) return fail(Errc::corrupt, "not a package: no zip archive");
    std::map<std::string, std::string> out;
    std::size_t total = 0;
    for (std::size_t entries = 0;; ++entries) {
        Result<std::optional<std::string>> path = reader.next();
        if (!path) return fail(std::move(path.error()));
        if (!*path) break;
        if (out.size() >= kMostFiles || entries >= 2 * kMostFiles) return fail(Errc::too_large, fmt::format("the package has more than {} files", kMostFiles));
        if ((*path)->empty()) continue;
        if (out.empty() && **path != kManifest) return fail(Errc::corrupt, "the package does not begin with manifest.json");
        if (out.contains(**path)) return fail(Errc::corrupt, fmt::format("'{}' stands in the package twice", **path));
        Result<std::string> file = reader.content(**path, std::min(kMostFileBytes, kMostPackageBytes - total));
        if (!file) return fail(std::move(file.error()));
        total += file->size();
        out.emplace(**path, std::move(*file));
    }
    if (out.empty()) return fail(Errc::corrupt, "the package is empty");
    return out;
}

Result<std::string> read_archive_manifest(std::string_view bytes)
{
    Reader reader(bytes);
    if (!reader.is_archive()) return fail(Errc::corrupt, "not a package: no zip archive");
    Result<std::optional<std::string>> path = reader.next();
    if (!path) return fail(std::move(path.error()));
    if (!*path || **path != kManifest) return fail(Errc::corrupt, "the package does not begin with manifest.json");
    return reader.content(kManifest, kMostManifestBytes);
}

}  // namespace mill::workflows
