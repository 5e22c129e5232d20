// Packages as others may make them: each is built by hand here, byte by byte, and lies in one way.
#include <catch2/catch.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <zlib.h>

#include <fmt/format.h>

#include "workflows/archive.h"

using namespace mill;
using namespace mill::workflows;

namespace {

struct Entry {
    std::string name, bytes;
    std::uint16_t method = 0, flags = 0;
    std::uint32_t mode = 0100644;
    std::uint16_t made_by = 3 << 8 | 20;
    std::uint32_t said_size = 0xffffffff, said_packed = 0xffffffff;  // otherwise than true
    std::uint32_t crc = 0;                                           // 0: the true one
};

void two(std::string& out, std::uint64_t value)
{
    out += static_cast<char>(value & 0xff);
    out += static_cast<char>(value >> 8 & 0xff);
}
void four(std::string& out, std::uint64_t value)
{
    two(out, value & 0xffff);
    two(out, value >> 16 & 0xffff);
}

std::string deflated(const std::string& bytes)
{
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(deflateBound(&stream, bytes.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

std::string zip(const std::vector<Entry>& entries)
{
    std::string out, list;
    for (const Entry& each : entries) {
        const auto crc = each.crc != 0 ? each.crc : static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(each.bytes.data()), static_cast<uInt>(each.bytes.size())));
        const std::string data = each.method == 8 ? deflated(each.bytes) : each.bytes;
        const std::uint32_t packed = each.said_packed != 0xffffffff ? each.said_packed : static_cast<std::uint32_t>(data.size());
        const std::uint32_t size = each.said_size != 0xffffffff ? each.said_size : static_cast<std::uint32_t>(each.bytes.size());
        const std::size_t at = out.size();
        const auto common = [&](std::string& to) {
            two(to, 20), two(to, each.flags), two(to, each.method), four(to, 0x00220000), four(to, crc), four(to, packed), four(to, size), two(to, each.name.size()), two(to, 0);
        };
        four(out, 0x04034b50), common(out);
        out += each.name + data;
        four(list, 0x02014b50), two(list, each.made_by), common(list);
        two(list, 0), two(list, 0), two(list, 0), four(list, std::uint64_t{each.mode} << 16), four(list, at);
        list += each.name;
    }
    const std::size_t at = out.size();
    out += list;
    four(out, 0x06054b50), two(out, 0), two(out, 0), two(out, entries.size()), two(out, entries.size()), four(out, list.size()), four(out, at), two(out, 0);
    return out;
}

const Entry kManifest{.name = "manifest.json", .bytes = "{}"};

std::string why_not_all(const std::vector<Entry>& entries)
{
    const auto read = read_archive(zip(entries));
    return read ? "read" : read.error().what;
}
std::string why_not(Entry second) { return why_not_all({kManifest, std::move(second)}); }

}  // namespace

TEST_CASE("what is written is read, and so is what others write", "[workflows][archive]")
{
    const std::map<std::string, std::string> files{{"a.yaml", "one"}, {"deep/er/b.js", std::string(200'000, 'b')}, {"empty", ""}, {"grüße.txt", "x"}};
    const auto written = write_archive("{\"n\":1}", files);
    REQUIRE(written);
    auto all = files;
    all["manifest.json"] = "{\"n\":1}";
    CHECK(read_archive(*written) == all);
    CHECK(read_archive_manifest(*written) == "{\"n\":1}");
    const auto others = read_archive(zip({kManifest, {.name = "folder/", .bytes = "", .mode = 040755}, {.name = "folder/a", .bytes = std::string(70'000, 'a'), .method = 8},
                                          {.name = "dos", .bytes = "d", .mode = 0, .made_by = 20}}));
    REQUIRE(others);
    CHECK(*others == std::map<std::string, std::string>{{"manifest.json", "{}"}, {"folder/a", std::string(70'000, 'a')}, {"dos", "d"}});
}

TEST_CASE("a package that leads out of itself, or to what is no file, is refused", "[workflows][archive]")
{
    using Catch::Contains;
    for (const char* name : {"../x", "/etc/passwd", "a/../../x", "a//b", "./a", ".hidden", "a\\b", "c:x", "a\nb"}) CHECK_THAT(why_not({.name = name, .bytes = ""}), Contains("no path within"));
    CHECK_THAT(why_not({.name = std::string("a\0b", 3), .bytes = ""}), Contains("no path within"));
    CHECK_THAT(why_not({.name = std::string(501, 'a'), .bytes = ""}), Contains("no path within"));
    CHECK_THAT(why_not({.name = std::string(5000, 'a'), .bytes = ""}), Contains("no path within"));
    for (const std::uint32_t mode : {0120777U, 0060644U, 0020644U, 0010644U, 0140644U})  // link, block, character, pipe, socket
        CHECK_THAT(why_not({.name = "x", .bytes = "/etc/passwd", .mode = mode}), Contains("link or a special file"));
    CHECK_THAT(why_not({.name = "manifest.json", .bytes = "{}"}), Contains("twice"));
    CHECK_THAT(why_not_all({{.name = "a", .bytes = ""}, kManifest}), Contains("does not begin with manifest.json"));
    CHECK_THAT(why_not_all({}), Contains("no zip"));
    CHECK_THAT(why_not_all({{.name = "folder/", .bytes = "", .mode = 040755}}), Contains("empty"));
}

TEST_CASE("a package that says other sizes and sums than it has is refused", "[workflows][archive]")
{
    using Catch::Contains;
    const std::string text(1000, 't');
    CHECK_THAT(why_not({.name = "x", .bytes = text, .crc = 7}), Contains("'x'") && Contains("damaged"));
    CHECK_THAT(why_not({.name = "x", .bytes = text, .method = 8, .crc = 7}), Contains("'x'"));
    CHECK_THAT(why_not({.name = "x", .bytes = text, .method = 8, .said_size = 10}), Contains("'x'"));
    CHECK_THAT(why_not({.name = "x", .bytes = text, .said_size = 100'000'000, .said_packed = 100'000'000}), Contains("'x'"));
    CHECK_THAT(why_not({.name = "x", .bytes = text, .method = 8, .said_packed = 3}), Contains("'x'"));
    CHECK_THAT(why_not({.name = "x", .bytes = text, .method = 99}), Contains("not known"));
    CHECK_THAT(why_not({.name = "x", .bytes = text, .flags = 1}), Contains("encrypted"));
}

TEST_CASE("a package that grows when it is unpacked is stopped at its bound", "[workflows][archive]")
{
    const auto bomb = read_archive(zip({kManifest, {.name = "x", .bytes = std::string(kMostFileBytes + 1, 'x'), .method = 8}}));
    REQUIRE_FALSE(bomb);
    CHECK(bomb.error().code == Errc::too_large);
    const auto manifest = read_archive_manifest(zip({{.name = "manifest.json", .bytes = std::string(kMostManifestBytes + 1, ' '), .method = 8}}));
    REQUIRE_FALSE(manifest);
    CHECK(manifest.error().code == Errc::too_large);
    std::vector<Entry> many{kManifest};
    for (std::size_t i = 0; i < kMostFiles; ++i) many.push_back({.name = fmt::format("f{}", i), .bytes = ""});
    CHECK(read_archive(zip(many)).error().code == Errc::too_large);
    many.pop_back();
    CHECK(read_archive(zip(many)));
}

TEST_CASE("a package that is cut anywhere, or has a byte changed anywhere, is read whole or refused", "[workflows][archive]")
{
    const std::string whole = zip({kManifest, {.name = "a", .bytes = std::string(300, 'a'), .method = 8}, {.name = "b", .bytes = "bb"}});
    const auto true_content = read_archive(whole);
    REQUIRE(true_content);
    std::size_t refused = 0;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto read = read_archive(std::string_view(whole).substr(0, size));
        if (read) CHECK(*read == *true_content);  // the last bytes say only that there is no comment
        else ++refused;
    }
    CHECK(refused >= whole.size() - 22);
    std::size_t other = 0;
    for (std::size_t at = 0; at < whole.size(); ++at)
        for (const int bit : {0, 3, 7}) {
            std::string changed = whole;
            changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
            const auto read = read_archive(changed);
            if (read && read->contains("a") && read->at("a") != std::string(300, 'a')) ++other;  // the checksum would have to agree
        }
    CHECK(other == 0);
}
