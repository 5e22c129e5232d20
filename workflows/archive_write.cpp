// The zip form of a package out. Apart from reading: the runner reads only, and so starts without libarchive and what that brings.
#include "workflows/archive.h"

#include <memory>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

namespace mill::workflows {
namespace {

struct CloseWriter { void operator()(archive* a) const { archive_write_free(a); } };
struct FreeEntry { void operator()(archive_entry* e) const { archive_entry_free(e); } };

constexpr time_t kTime = 315'619'200;  // 1980-01-02: the first day that a zip can write in every time zone
constexpr const char* kManifestName = "manifest.json";

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

}  // namespace

Result<std::string> write_archive(const std::string& manifest_json, const std::map<std::string, std::string>& files)
{
    std::string out;
    const std::unique_ptr<archive, CloseWriter> writer(archive_write_new());
    archive_write_set_format_zip(writer.get());
    archive_write_set_options(writer.get(), "zip:compression=deflate,zip:compression-level=6,zip:!hdrcharset");
    archive_write_set_bytes_in_last_block(writer.get(), 1);
    if (archive_write_open(writer.get(), &out, nullptr, &append, nullptr) != ARCHIVE_OK) return fail(Errc::internal, "cannot make an archive");
    if (Status ok = add(writer.get(), kManifestName, manifest_json); !ok) return fail(std::move(ok.error()));
    for (const auto& [path, bytes] : files) {
        if (path == kManifestName) continue;
        if (Status ok = add(writer.get(), path, bytes); !ok) return fail(std::move(ok.error()));
    }
    if (archive_write_close(writer.get()) != ARCHIVE_OK) return fail(Errc::internal, "cannot finish the archive");
    if (out.size() > kMostPackageBytes) return fail(Errc::too_large, "the package is larger than 256 MiB");
    return out;
}

}  // namespace mill::workflows
