#include "agent/broker/archive_reader.h"

#include <cstdio>
#include <cstdlib>
#include <memory>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fmt/core.h>

#include "platform/base/json.h"
#include "platform/confine.h"
#include "platform/crypto_digest.h"
#include "platform/folder.h"

namespace mill::broker {
namespace {

constexpr std::uint64_t kMaxContent = 1ULL << 40;  // what unpacks to more than a TiB is no backup but a bomb
constexpr std::uint64_t kMaxEntries = 10'000'000;

// A sanitizer reserves terabytes of addresses.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

using Reader = std::unique_ptr<archive, int (*)(archive*)>;

tl::unexpected<Error> damaged(archive* reader, std::string_view entry)
{
    const char* text = ::archive_error_string(reader);
    return fail(Errc::corrupt, fmt::format("{}: {}", entry.empty() ? "the archive" : fmt::format("entry '{}'", entry.substr(0, 200)),
                                           text == nullptr ? "cannot be read" : text));
}

Status read_entry(archive* reader, const std::string& name, std::uint64_t& content)
{
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    for (;;) {
        const int got = ::archive_read_data_block(reader, &block, &size, &offset);
        if (got == ARCHIVE_EOF) return {};
        if (got != ARCHIVE_OK) return damaged(reader, name);
        content += size;
        if (content > kMaxContent) return fail(Errc::too_large, "the archive unpacks to more than 1 TiB");
    }
}

}  // namespace

Result<ArchiveContents> read_archive(const platform::Handle& file)
{
    ArchiveContents out;
    platform::Digest digest;
    for (;;) {
        auto piece = platform::read_some(file, 1 << 20);
        if (!piece) return fail(piece.error());
        if (piece->empty()) break;
        digest.add(*piece);
        out.size += piece->size();
    }
    out.digest = digest.text();
    if (::lseek(file.native(), 0, SEEK_SET) != 0) return fail(Errc::unavailable, "the archive cannot be read from its start");

    const Reader reader(::archive_read_new(), ::archive_read_free);
    ::archive_read_support_format_zip(reader.get());
    ::archive_read_support_format_tar(reader.get());
    ::archive_read_support_filter_gzip(reader.get());
    if (::archive_read_open_fd(reader.get(), file.native(), 1 << 16) != ARCHIVE_OK) return damaged(reader.get(), "");
    for (std::uint64_t entries = 0;; ++entries) {
        archive_entry* entry = nullptr;
        const int got = ::archive_read_next_header(reader.get(), &entry);
        if (got == ARCHIVE_EOF) break;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN) return damaged(reader.get(), "");
        if (entries >= kMaxEntries) return fail(Errc::too_large, fmt::format("the archive has more than {} entries", kMaxEntries));
        const char* path = ::archive_entry_pathname(entry);
        const std::string name = path != nullptr ? path : "without a readable name";
        if (auto ok = read_entry(reader.get(), name, out.content); !ok) return fail(ok.error());
        if (::archive_entry_filetype(entry) == AE_IFREG) ++out.files;
    }
    if (::archive_read_close(reader.get()) != ARCHIVE_OK) return damaged(reader.get(), "");
    return out;
}

int archive_verify_helper()
{
    const rlimit memory{512U << 20, 512U << 20};
    if (!kSanitized) ::setrlimit(RLIMIT_AS, &memory);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::setlocale(LC_CTYPE, "C.UTF-8");  // NOLINT(concurrency-mt-unsafe): this helper has one thread
    ::archive_version_details();  // loads what it loads while files can still be opened
    if (auto ok = platform::confine({.commands = false, .open_files = false}); !ok) {
        std::fputs((dump_json(Json::object({{"error", ok.error().what}})) + "\n").c_str(), stdout);
        return 70;
    }
    const platform::Handle file(3);
    const auto contents = read_archive(file);
    const Json answer = contents ? Json::object({{"files", contents->files},
                                                 {"content", contents->content},
                                                 {"size", contents->size},
                                                 {"digest", contents->digest}})
                                 : Json::object({{"error", contents.error().what}, {"corrupt", contents.error().code == Errc::corrupt}});
    const std::string line = dump_json(answer) + "\n";
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
    std::_Exit(contents ? 0 : 1);  // what runs at an ordinary exit may ask for what is no longer allowed
}

}  // namespace mill::broker
