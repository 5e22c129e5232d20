#include "protocol/signature.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/fields.h"

namespace mill::protocol {
namespace {

constexpr std::string_view kAlgorithm = "ed25519:";
constexpr std::size_t kKeyBytes = 32, kSignatureBytes = 64, kLongestName = 200;

/// As names and versions are; above all without line ends, which part the statement's fields.
bool is_plain(std::string_view text)
{
    return !text.empty() && text.size() <= kLongestName && std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string bytes_in(Fields& fields, std::string_view member, std::size_t size)
{
    const std::string text = fields.text(member);
    if (text.empty()) return {};
    auto bytes = from_base64(text);
    if (bytes && bytes->size() == size && to_base64(*bytes) == text) return std::move(*bytes);
    fields.mistake(member, fmt::format("must be {} bytes in base64", size));
    return {};
}

}  // namespace

bool is_digest(std::string_view text)
{
    if (text.size() != 71 || !text.starts_with("sha256:")) return false;
    return text.substr(7).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string package_statement(std::string_view name, std::string_view version, std::string_view digest, std::string_view manifest)
{
    // Four lines behind the first, whatever stands in them: a line end within a field makes a fifth.
    return fmt::format("millwright package signature 1\n{}\n{}\n{}\n{}\n", name, version, digest, manifest);
}

std::string key_text(std::string_view public_key) { return std::string(kAlgorithm) + to_base64(public_key); }

Result<std::string> parse_key(std::string_view text)
{
    const auto wrong = [&] { return fail(Errc::invalid, fmt::format("a publisher's key is written ed25519:BASE64 (32 bytes); found '{}'", text.substr(0, 80))); };
    if (!text.starts_with(kAlgorithm)) return wrong();
    auto bytes = from_base64(text.substr(kAlgorithm.size()));
    if (!bytes || bytes->size() != kKeyBytes || key_text(*bytes) != text) return wrong();
    return bytes;
}

namespace {

Result<PackageSignature> parse_signature(const Json& json, const std::string& where, bool wire)
{
    Fields fields(json, where);
    if (wire) fields.ignore_unknown();
    PackageSignature out;
    const std::string key = fields.text("key");
    if (auto read = parse_key(key); read) out.key = std::move(*read);
    else if (!key.empty()) fields.mistake("key", read.error().what);
    out.manifest = fields.text("manifest");
    if (!out.manifest.empty() && !is_digest(out.manifest)) fields.mistake("manifest", "must be 'sha256:' and 64 hexadecimal digits in lower case");
    out.bytes = bytes_in(fields, "signature", kSignatureBytes);
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return out;
}

}  // namespace

Json to_json(const std::vector<PackageSignature>& signatures)
{
    Json list = Json::array();
    for (const PackageSignature& each : signatures) list.push(Json::object({{"key", key_text(each.key)}, {"manifest", each.manifest}, {"signature", to_base64(each.bytes)}}));
    return list;
}

Result<std::vector<PackageSignature>> parse_signatures(const Json& list, const std::string& where, bool wire)
{
    if (!list.is_array()) return fail(Errc::invalid, fmt::format("{} must be a list, found {}", where, list.kind_name()));
    if (list.size() > kMostSignatures) return fail(Errc::too_large, fmt::format("{} has {} entries; a package has at most {} signatures", where, list.size(), kMostSignatures));
    std::vector<PackageSignature> out;
    for (const Json& item : list.as_array()) {
        auto signature = parse_signature(item, fmt::format("{}[{}]", where, out.size()), wire);
        if (!signature) return fail(std::move(signature.error()));
        if (std::any_of(out.begin(), out.end(), [&](const PackageSignature& other) { return other.key == signature->key; }))
            return fail(Errc::invalid, fmt::format("{} has two signatures of the key {}", where, key_text(signature->key)));
        out.push_back(std::move(*signature));
    }
    return out;
}

Json to_json(const SignatureFile& file)
{
    return Json::object({{"package", Json::object({{"name", file.name}, {"version", file.version}, {"digest", file.digest}})}, {"signatures", to_json(file.signatures)}});
}

Result<SignatureFile> parse_signature_file(const Json& json, const std::string& where)
{
    Fields fields(json, where);
    SignatureFile out;
    Fields package(fields.object("package"), where + ": package");
    const Json list = fields.array("signatures");
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    for (const auto& [member, value] : {std::pair{"name", &out.name}, {"version", &out.version}}) {
        *value = package.text(member);
        if (!value->empty() && !is_plain(*value)) package.mistake(member, "must be printable ASCII without spaces, at most 200 characters");
    }
    out.digest = package.text("digest");
    if (!out.digest.empty() && !is_digest(out.digest)) package.mistake("digest", "must be 'sha256:' and 64 hexadecimal digits in lower case");
    if (auto done = package.done(); !done) return fail(std::move(done.error()));
    auto signatures = parse_signatures(list, where + ": signatures");
    if (!signatures) return fail(std::move(signatures.error()));
    if (signatures->empty()) return fail(Errc::invalid, where + ": signatures is empty");
    out.signatures = std::move(*signatures);
    return out;
}

Result<SignatureFile> parse_signature_file(std::string_view text, const std::string& where)
{
    auto json = parse_json(text, {kMostSignatureFile, 8});
    if (!json) return fail(where, std::move(json.error()));
    return parse_signature_file(*json, where);
}

}  // namespace mill::protocol
