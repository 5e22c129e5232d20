#include "agent/broker/file_operations.h"

#include <vector>

#include <fmt/core.h>

#include "platform/base/encode.h"
#include "platform/base/fields.h"

namespace mill::broker {
namespace {

using platform::Folder;
using platform::FolderEntry;

template <class T> Outcome<T> done(Fields& fields, T request)
{
    if (auto ok = fields.done(); !ok) return tl::unexpected(effect_error(ok.error(), "Bad request"));
    return request;
}

std::string_view word(FolderEntry::Type type)
{
    switch (type) {
    case FolderEntry::Type::file: return "file";
    case FolderEntry::Type::folder: return "folder";
    case FolderEntry::Type::link: return "link";
    case FolderEntry::Type::other: break;
    }
    return "other";
}

/// '*' and '?'; no other wildcard. Time: pattern × name, whatever the pattern.
bool matches(std::string_view pattern, std::string_view name)
{
    std::size_t at = 0, in = 0, star = std::string_view::npos, retry = 0;
    while (in < name.size()) {
        if (at < pattern.size() && pattern[at] == '*') {
            star = at++;
            retry = in;
        } else if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == name[in])) {
            ++at;
            ++in;
        } else if (star != std::string_view::npos) {
            at = star + 1;
            in = ++retry;
        } else {
            return false;
        }
    }
    while (at < pattern.size() && pattern[at] == '*') ++at;
    return at == pattern.size();
}

std::string joined(std::string_view folder, std::string_view name)
{
    if (folder.empty()) return std::string(name);
    return folder.back() == '/' ? fmt::format("{}{}", folder, name) : fmt::format("{}/{}", folder, name);
}

}  // namespace

Outcome<ReadRequest> parse_read(const Json& with)
{
    Fields fields(with, "file.read");
    ReadRequest out;
    out.path = fields.text("path");
    out.base64 = fields.one_of("encoding", {"utf-8", "base64"}, "utf-8") == "base64";
    return done(fields, std::move(out));
}

Outcome<WriteRequest> parse_write(const Json& with)
{
    Fields fields(with, "file.write");
    WriteRequest out;
    out.path = fields.text("path");
    const Json content = fields.any("content");
    if (!content.is_string()) fields.mistake("content", "is not a text");  // an empty one is
    out.bytes = content.as_string();
    const bool base64 = fields.one_of("encoding", {"utf-8", "base64"}, "utf-8") == "base64";
    const std::string mode = fields.one_of("mode", {"create", "replace", "append"}, "create");
    if (base64) {
        auto bytes = from_base64(out.bytes);
        if (!bytes) fields.mistake("content", bytes.error().what);
        else out.bytes = std::move(*bytes);
    }
    if (out.bytes.size() > kMaxFileBytes) fields.mistake("content", fmt::format("has more than {} bytes", kMaxFileBytes));
    using platform::WriteMode;
    out.mode = mode == "create" ? WriteMode::create : mode == "replace" ? WriteMode::replace : WriteMode::append;
    return done(fields, std::move(out));
}

Outcome<ListRequest> parse_list(const Json& with)
{
    Fields fields(with, "file.list");
    ListRequest out;
    out.path = fields.text("path");
    out.pattern = fields.text("pattern", "");
    out.recursive = fields.boolean("recursive", false);
    if (out.pattern.size() > 256) fields.mistake("pattern", "is longer than 256 bytes");
    return done(fields, std::move(out));
}

Outcome<Json> read_file(const Folder& folder, std::string_view name, const ReadRequest& request)
{
    auto bytes = folder.read(name, kMaxFileBytes);
    if (!bytes) return tl::unexpected(effect_error(bytes.error(), "File not read"));
    const std::size_t size = bytes->size();
    if (!request.base64 && !is_utf8(*bytes))
        return refuse("validation", 422, "Not text", fmt::format("'{}' is not UTF-8 text: read it with encoding: base64", request.path));
    return Json::object({{"content", request.base64 ? to_base64(*bytes) : std::move(*bytes)}, {"size", size}});
}

Outcome<Json> write_file(const Folder& folder, std::string_view name, const WriteRequest& request)
{
    auto size = folder.write(name, request.bytes, request.mode);
    if (!size) {
        EffectError error = effect_error(size.error(), "File not written");
        if (size.error().code == Errc::conflict && request.mode == platform::WriteMode::create)
            error.detail += " (mode: replace or append would change it)";
        return tl::unexpected(std::move(error));
    }
    return Json::object({{"path", request.path}, {"size", *size}});
}

Outcome<Json> list_files(const Folder& folder, std::string_view name, const ListRequest& request)
{
    struct Pending {
        std::string name, shown;
        int depth = 0;
    };
    std::vector<Pending> pending{{std::string(name), request.path, 0}};
    Json::Array entries;
    std::size_t seen = 0;
    while (!pending.empty()) {
        const Pending here = std::move(pending.back());
        pending.pop_back();
        auto opened = folder.folder(here.name);
        if (!opened && here.depth > 0) continue;  // not readable, or gone meanwhile
        if (!opened) return tl::unexpected(effect_error(opened.error(), "Folder not listed"));
        auto listed = opened->list(kMaxListed - seen);
        if (!listed) return tl::unexpected(effect_error(listed.error(), "Folder not listed"));
        seen += listed->size();
        for (const FolderEntry& entry : *listed) {
            const std::string shown = joined(here.shown, entry.name);
            const bool folder_here = entry.type == FolderEntry::Type::folder;
            if (request.recursive && folder_here && here.depth < kMaxListDepth)
                pending.push_back({joined(here.name, entry.name), shown, here.depth + 1});
            if (!request.pattern.empty() && !matches(request.pattern, entry.name)) continue;
            entries.push_back(Json::object({{"path", shown},
                                            {"name", entry.name},
                                            {"size", folder_here ? 0 : entry.size},
                                            {"type", word(entry.type)},
                                            {"modified", format_time(entry.modified)}}));
        }
    }
    return Json::object({{"entries", Json(std::move(entries))}});
}

bool is_utf8(std::string_view bytes)
{
    for (std::size_t at = 0; at < bytes.size();) {
        const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(bytes[index]); };
        const unsigned lead = byte(at);
        std::size_t more = 0;
        unsigned long code = 0, least = 0;
        if (lead < 0x80) {
            ++at;
            continue;
        }
        if (lead >= 0xC2 && lead < 0xE0) more = 1, code = lead & 0x1F, least = 0x80;
        else if (lead >= 0xE0 && lead < 0xF0) more = 2, code = lead & 0x0F, least = 0x800;
        else if (lead >= 0xF0 && lead < 0xF5) more = 3, code = lead & 0x07, least = 0x10000;
        else return false;
        if (at + more >= bytes.size()) return false;
        for (std::size_t index = 1; index <= more; ++index) {
            if ((byte(at + index) & 0xC0) != 0x80) return false;
            code = code << 6 | (byte(at + index) & 0x3F);
        }
        if (code < least || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
        at += more + 1;
    }
    return true;
}

}  // namespace mill::broker
