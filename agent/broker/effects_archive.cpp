#include "agent/broker/effects.h"

#include <memory>
#include <set>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <fmt/core.h>

#include "agent/broker/file_operations.h"
#include "agent/broker/verdict.h"
#include "platform/base/fields.h"
#include "platform/crypto_digest.h"
#include "platform/files.h"
#include "platform/folder.h"
#include "platform/process.h"

namespace mill::broker {
namespace {

using platform::Folder;
using platform::FolderEntry;

constexpr std::size_t kMaxFiles = 1'000'000;
constexpr int kMaxDepth = 64;

Outcome<Folder> open_granted(const Place& place)
{
    auto folder = Folder::open(place.folder);
    if (!folder) return tl::unexpected(effect_error(folder.error(), "Granted folder not reached"));
    return std::move(*folder);
}

/// libarchive converts names by the thread's locale, and in "C" it loses all beyond ASCII.
class Utf8Names {
public:
    Utf8Names() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(locale_ != nullptr ? ::uselocale(locale_) : nullptr) {}
    ~Utf8Names()
    {
        if (locale_ == nullptr) return;
        ::uselocale(before_);
        ::freelocale(locale_);
    }
    Utf8Names(const Utf8Names&) = delete;
    Utf8Names& operator=(const Utf8Names&) = delete;
    bool there() const { return locale_ != nullptr; }

private:
    locale_t locale_, before_;
};

/// Writes one archive; what libarchive produces goes to the new file and into the digest at once.
class Writer {
public:
    explicit Writer(platform::NewFile& out) : out_(out), archive_(::archive_write_new(), ::archive_write_free) {}

    Status open(bool zip)
    {
        if (zip) {
            ::archive_write_set_format_zip(archive_.get());
        } else {
            ::archive_write_set_format_pax_restricted(archive_.get());
            ::archive_write_add_filter_gzip(archive_.get());
            ::archive_write_set_filter_option(archive_.get(), "gzip", "timestamp", nullptr);
        }
        ::archive_write_set_bytes_in_last_block(archive_.get(), 1);
        return result(::archive_write_open(archive_.get(), this, nullptr, &Writer::take, nullptr));
    }

    Status folder(const std::string& name, const FolderEntry& entry) { return header(name + "/", entry, AE_IFDIR, 0); }

    Status file(const Folder& in, const std::string& name, const FolderEntry& entry, std::stop_token stop)
    {
        auto handle = in.open_file(entry.name);
        if (!handle) return fail(handle.error());
        if (auto ok = header(name, entry, AE_IFREG, entry.size); !ok) return ok;
        std::uint64_t left = entry.size;
        while (left > 0) {
            if (stop.stop_requested()) return fail(Errc::cancelled, "stopped while archiving");
            auto piece = platform::read_some(*handle, std::min<std::uint64_t>(left, 1 << 20));
            if (!piece) return fail(piece.error());
            if (piece->empty()) return fail(Errc::conflict, fmt::format("'{}' became shorter while it was archived", name));
            if (::archive_write_data(archive_.get(), piece->data(), piece->size()) < 0) return result(ARCHIVE_FATAL);
            left -= piece->size();
        }
        ++files_;
        return {};
    }

    Status close() { return result(::archive_write_close(archive_.get())); }
    void skip() { ++skipped_; }
    std::uint64_t files() const { return files_; }
    std::uint64_t skipped() const { return skipped_; }
    std::uint64_t size() const { return size_; }
    std::string digest() { return digest_.text(); }

private:
    static la_ssize_t take(archive*, void* self, const void* bytes, std::size_t count)
    {
        auto& writer = *static_cast<Writer*>(self);
        const std::string_view piece(static_cast<const char*>(bytes), count);
        writer.digest_.add(piece);
        writer.size_ += count;
        writer.failed_ = writer.out_.append(piece);
        return writer.failed_ ? static_cast<la_ssize_t>(count) : -1;
    }

    Status header(const std::string& name, const FolderEntry& entry, unsigned type, std::uint64_t size)
    {
        if (!names_.there() || !is_utf8(name)) return fail(Errc::invalid, fmt::format("'{}' is not named in UTF-8", name));
        const std::unique_ptr<archive_entry, void (*)(archive_entry*)> item(::archive_entry_new(), ::archive_entry_free);
        ::archive_entry_set_pathname(item.get(), name.c_str());
        ::archive_entry_set_filetype(item.get(), type);
        ::archive_entry_set_perm(item.get(), static_cast<mode_t>(entry.mode));
        ::archive_entry_set_size(item.get(), static_cast<la_int64_t>(size));
        ::archive_entry_set_mtime(item.get(), entry.modified.microseconds / 1'000'000, 0);
        return result(::archive_write_header(archive_.get(), item.get()));
    }

    Status result(int code)
    {
        if (!failed_) return failed_;
        if (code >= ARCHIVE_WARN) return {};
        const char* text = ::archive_error_string(archive_.get());
        return fail(Errc::unavailable, fmt::format("cannot write the archive: {}", text == nullptr ? "no reason given" : text));
    }

    const Utf8Names names_;
    platform::NewFile& out_;
    platform::Digest digest_;
    Status failed_;
    std::uint64_t files_ = 0, skipped_ = 0, size_ = 0;
    std::unique_ptr<archive, int (*)(archive*)> archive_;  // last: closing it still calls `take`
};

/// Everything below `source`, in the order of names; links and special files, and the target itself, are
/// left out and counted.
Status add_tree(Writer& writer, const Folder& source, const FolderEntry& target, std::stop_token stop)
{
    struct Pending {
        std::string name;
        int depth = 0;
    };
    std::vector<Pending> pending{{"", 0}};
    std::size_t seen = 0;
    while (!pending.empty()) {
        const Pending here = std::move(pending.back());
        pending.pop_back();
        auto folder = source.folder(here.name);
        if (!folder) return fail(folder.error());
        auto entries = folder->list(kMaxFiles - seen);
        if (!entries) return fail(entries.error());
        seen += entries->size();
        std::vector<Pending> below;
        for (const FolderEntry& entry : *entries) {
            if (stop.stop_requested()) return fail(Errc::cancelled, "stopped while archiving");
            const std::string name = here.name.empty() ? entry.name : here.name + "/" + entry.name;
            if (entry.type == FolderEntry::Type::folder) {
                if (here.depth >= kMaxDepth) return fail(Errc::too_large, fmt::format("'{}' lies more than {} folders deep", name, kMaxDepth));
                if (auto ok = writer.folder(name, entry); !ok) return ok;
                below.push_back({name, here.depth + 1});
            } else if (entry.type == FolderEntry::Type::file && !(entry.device == target.device && entry.inode == target.inode)) {
                if (auto ok = writer.file(*folder, name, entry, stop); !ok) return ok;
            } else {
                writer.skip();
            }
        }
        pending.insert(pending.end(), std::make_move_iterator(below.rbegin()), std::make_move_iterator(below.rend()));
    }
    return {};
}

Status fill(Writer& writer, bool zip, const Folder& granted, const std::string& name, const FolderEntry& source,
            const FolderEntry& target, std::stop_token stop)
{
    if (auto ok = writer.open(zip); !ok) return ok;
    if (source.type == FolderEntry::Type::folder) {
        auto folder = granted.folder(name);
        if (!folder) return fail(folder.error());
        if (auto ok = add_tree(writer, *folder, target, stop); !ok) return ok;
    } else {
        const std::size_t slash = name.rfind('/');
        auto folder = granted.folder(slash == std::string::npos ? "" : name.substr(0, slash));
        if (!folder) return fail(folder.error());
        if (auto ok = writer.file(*folder, source.name, source, stop); !ok) return ok;
    }
    return writer.close();
}

}  // namespace

Outcome<Json> archive_create(const Json& with, EffectContext& context)
{
    Fields fields(with, "archive.create");
    const std::string source_path = fields.text("source");
    const std::string target_path = fields.text("target");
    const bool zip = fields.one_of("format", {"zip", "tar.gz"}, target_path.ends_with(".zip") ? "zip" : "tar.gz") == "zip";
    if (auto ok = fields.done(); !ok) return tl::unexpected(effect_error(ok.error(), "Bad request"));
    auto source_place = may_reach(context.grants.permissions, source_path, Access::read);
    if (!source_place) return tl::unexpected(source_place.error());
    auto target_place = may_reach(context.grants.permissions, target_path, Access::write);
    if (!target_place) return tl::unexpected(target_place.error());
    auto source = open_granted(*source_place);
    if (!source) return tl::unexpected(source.error());
    auto target = open_granted(*target_place);
    if (!target) return tl::unexpected(target.error());

    auto looked = source->look(source_place->name);
    if (!looked) return tl::unexpected(effect_error(looked.error(), "Source not read"));
    if (looked->type != FolderEntry::Type::folder && looked->type != FolderEntry::Type::file)
        return refuse("validation", 400, "Source not read", fmt::format("'{}' is neither a folder nor a file", source_path));
    auto file = target->new_file(target_place->name);
    if (!file) return tl::unexpected(effect_error(file.error(), "Archive not written"));
    Writer writer(**file);
    if (auto ok = fill(writer, zip, *source, source_place->name, *looked, (*file)->look(), context.stop); !ok)
        return tl::unexpected(effect_error(ok.error(), "Archive not written"));
    if (auto ok = (*file)->commit(); !ok) return tl::unexpected(effect_error(ok.error(), "Archive not written"));
    return Json::object({{"path", target_path}, {"files", writer.files()}, {"skipped", writer.skipped()}, {"size", writer.size()},
                         {"digest", writer.digest()}});
}

Outcome<Json> archive_verify(const Json& with, EffectContext& context)
{
    Fields fields(with, "archive.verify");
    const std::string path = fields.text("path");
    const std::string expected = fields.text("digest", "");
    if (auto ok = fields.done(); !ok) return tl::unexpected(effect_error(ok.error(), "Bad request"));
    auto place = may_reach(context.grants.permissions, path, Access::read);
    if (!place) return tl::unexpected(place.error());
    auto folder = open_granted(*place);
    if (!folder) return tl::unexpected(folder.error());
    auto file = folder->open_file(place->name);
    if (!file) return tl::unexpected(effect_error(file.error(), "Archive not read"));

    // Outside data is parsed by a helper that has this one file and nothing else.
    platform::ProcessSpec helper;
    helper.program = context.helper.empty() ? platform::sibling_program("millwright-broker") : context.helper;
    helper.arguments = {"--helper", "archive-verify"};
    helper.handles = {{3, &*file}};
    auto ran = platform::run_process(helper, "", 64 * 1024, context.left(), context.stop);
    if (!ran) return tl::unexpected(effect_error(ran.error(), "Archive not verified"));
    if (ran->ending.timed_out) return refuse("timeout", 408, "Archive not verified in time", fmt::format("'{}'", path));
    auto answer = parse_json(ran->out);
    if (!answer)
        return refuse("runtime", 500, "Archive not verified",
                      fmt::format("the helper that reads '{}' ended with status {}, signal {}", path, ran->ending.exit_code, ran->ending.signal));
    if (const Json* error = answer->find("error")) {
        const bool corrupt = (*answer)["corrupt"].as_bool();
        return refuse(corrupt ? "validation" : "runtime", corrupt ? 422 : 500, "Archive is damaged",
                      fmt::format("'{}': {}", path, error->as_string()));
    }
    const std::string& digest = (*answer)["digest"].as_string();
    if (!expected.empty() && expected != digest)
        return refuse("validation", 422, "Archive differs", fmt::format("'{}' has the digest {}, expected {}", path, digest, expected));
    return Json::object({{"path", path}, {"files", (*answer)["files"]}, {"size", (*answer)["size"]}, {"digest", digest}, {"ok", true}});
}

}  // namespace mill::broker
