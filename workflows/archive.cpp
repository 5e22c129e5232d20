#include "workflows/archive.h"

#include <memory>
#include <optional>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

namespace mill::workflows {
namespace {

struct CloseWriter { void operator()(archive* a) const { archive_write_free(a); } };
struct CloseReader { void operator()(archive* a) const { archive_read_free(a); } };
struct FreeEntry { void operator()(archive_entry* e) const { archive_entry_free(e); } };
using Reader = std::unique_ptr<archive, CloseReader>;

constexpr time_t kTime = 315'619'200;  // 1980-01-02: the first day that a zip can write in every time zone
constexpr const char* kManifest = "manifest.json";

la_ssize_t append(archive*, void* out, const void* data, std::size_t size)
{
    static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
    return static_cast<la_ssize_t>(size);
}

Status add(archive* writer, const std::string& path, std::string_view bytes)
{
    const std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
    archive_entry_set_pathname_utf8(entry.get(), path.c_str());
    archive_entry_set_pathname(entry.get(), path.c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_mtime(entry.get(), kTime, 0);
    if (archive_write_header(writer, entry.get()) != ARCHIVE_OK || archive_write_data(writer, bytes.data(), bytes.size()) != static_cast<la_ssize_t>(bytes.size()))
        return fail(Errc::internal, fmt::format("cannot pack '{}': {}", path, archive_error_string(writer)));
    return {};
}

Result<Reader> open(std::string_view bytes)
{
    Reader reader(archive_read_new());
    archive_read_support_format_zip_seekable(reader.get());
    if (!bytes.starts_with("PK") || archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK)
        return fail(Errc::corrupt, "not a package: no zip archive");
    return reader;
}

Result<std::string> content(archive* reader, const std::string& path, std::size_t most)
{
    std::string out;
    char buffer[32768];
    for (;;) {
        const la_ssize_t got = archive_read_data(reader, buffer, sizeof buffer);
        if (got == 0) return out;
        if (got < 0) return fail(Errc::corrupt, fmt::format("'{}' in the package cannot be read: {}", path, archive_error_string(reader) == nullptr ? "?" : archive_error_string(reader)));
        if (out.size() + static_cast<std::size_t>(got) > most) return fail(Errc::too_large, fmt::format("'{}' in the package is larger than {} bytes", path, most));
        out.append(buffer, static_cast<std::size_t>(got));
    }
}

/// The next regular file's path; "" for a folder; nothing at the end.
Result<std::optional<std::string>> next(archive* reader)
{
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(reader, &entry);
    if (code == ARCHIVE_EOF) return std::nullopt;
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
        return fail(Errc::corrupt, fmt::format("the package is damaged: {}", archive_error_string(reader) == nullptr ? "?" : archive_error_string(reader)));
    const char* raw = archive_entry_pathname(entry);
    std::string path = raw == nullptr ? "" : raw;
    if (archive_entry_filetype(entry) == AE_IFDIR) return std::string();
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr)
        return fail(Errc::corrupt, fmt::format("'{}' in the package is a link or a special file", path));
    if (!is_package_path(path)) return fail(Errc::corrupt, fmt::format("'{}' is no path within a package", path));
    return path;
}

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

Result<std::string> write_archive(const std::string& manifest_json, const std::map<std::string, std::string>& files)
{
    std::string out;
    const std::unique_ptr<archive, CloseWriter> writer(archive_write_new());
    archive_write_set_format_zip(writer.get());
    archive_write_set_options(writer.get(), "zip:compression=deflate,zip:compression-level=6,zip:!hdrcharset");
    archive_write_set_bytes_in_last_block(writer.get(), 1);
    if (archive_write_open(writer.get(), &out, nullptr, &append, nullptr) != ARCHIVE_OK) return fail(Errc::internal, "cannot make an archive");
    if (Status ok = add(writer.get(), kManifest, manifest_json); !ok) return fail(std::move(ok.error()));
    for (const auto& [path, bytes] : files) {
        if (path == kManifest) continue;
        if (Status ok = add(writer.get(), path, bytes); !ok) return fail(std::move(ok.error()));
    }
    if (archive_write_close(writer.get()) != ARCHIVE_OK) return fail(Errc::internal, "cannot finish the archive");
    if (out.size() > kMostPackageBytes) return fail(Errc::too_large, "the package is larger than 256 MiB");
    return out;
}

Result<std::map<std::string, std::string>> read_archive(std::string_view bytes)
{
    if (bytes.size() > kMostPackageBytes) return fail(Errc::too_large, "the package is larger than 256 MiB");
    Result<Reader> reader = open(bytes);
    if (!reader) return fail(std::move(reader.error()));
    std::map<std::string, std::string> out;
    std::size_t total = 0;
    for (;;) {
        Result<std::optional<std::string>> path = next(reader->get());
        if (!path) return fail(std::move(path.error()));
        if (!*path) break;
        if ((*path)->empty()) continue;
        if (out.empty() && **path != kManifest) return fail(Errc::corrupt, "the package does not begin with manifest.json");
        if (out.size() >= kMostFiles) return fail(Errc::too_large, fmt::format("the package has more than {} files", kMostFiles));
        Result<std::string> file = content(reader->get(), **path, std::min(kMostFileBytes, kMostPackageBytes - total));
        if (!file) return fail(std::move(file.error()));
        total += file->size();
        if (!out.emplace(**path, std::move(*file)).second) return fail(Errc::corrupt, fmt::format("'{}' stands in the package twice", **path));
    }
    if (out.empty()) return fail(Errc::corrupt, "the package is empty");
    return out;
}

Result<std::string> read_archive_manifest(std::string_view bytes)
{
    Result<Reader> reader = open(bytes);
    if (!reader) return fail(std::move(reader.error()));
    Result<std::optional<std::string>> path = next(reader->get());
    if (!path) return fail(std::move(path.error()));
    if (!*path || **path != kManifest) return fail(Errc::corrupt, "the package does not begin with manifest.json");
    return content(reader->get(), kManifest, kMostManifestBytes);
}

}  // namespace mill::workflows
