#include "cli/signing.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/publishing.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/files.h"
#include "platform/fingerprint.h"
#include "workflows/archive.h"

namespace mill::cli {

namespace {
constexpr std::size_t kKeyBytes = 32, kMaxKeyFile = 8192;

Result<KeyFile> parse_key_file(const std::string& text, const std::string& path)
{
    auto json = parse_json(text, {kMaxKeyFile, 4});
    if (!json || !json->is_object()) return fail(Errc::invalid, fmt::format("{}: not a key as `millwright keys new` writes it", path));
    Fields fields(*json, path);
    KeyFile out;
    out.name = fields.text("name");
    auto open = protocol::parse_key(fields.text("publicKey"));
    auto secret = from_base64(fields.text("privateKey"));
    // No value in an error: one of them is the secret.
    if (!open) fields.mistake("publicKey", "is no key");
    if (!secret || secret->size() != kKeyBytes) fields.mistake("privateKey", "is no key");
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    out.key = {std::move(*secret), std::move(*open)};
    auto proof = platform::sign(out.key.private_key, "proof");
    if (!proof || !platform::verify(out.key.public_key, "proof", *proof)) return fail(Errc::invalid, fmt::format("{}: the two halves do not belong together", path));
    return out;
}

}  // namespace

Result<KeyFile> read_key_file(const std::string& path)
{
    auto text = platform::read_secret_file(path, kMaxKeyFile);
    if (!text) return fail(text.error().code == Errc::denied ? Errc::denied : Errc::invalid, text.error().what);   // it names the file
    return parse_key_file(*text, path);
}

std::string key_file_text(const KeyFile& file)
{
    return dump_json(Json::object({{"name", file.name}, {"publicKey", protocol::key_text(file.key.public_key)}, {"privateKey", to_base64(file.key.private_key)}}), 2) + "\n";
}

Result<std::string> public_key_in(const std::string& text_or_path)
{
    if (auto key = protocol::parse_key(text_or_path)) return key;
    auto text = platform::read_file(text_or_path, kMaxKeyFile);
    if (!text) return fail(Errc::invalid, fmt::format("'{}' is neither a key (ed25519:…) nor a file that can be read ({})", printable(text_or_path.substr(0, 200)), text.error().what));
    if (text->starts_with('{')) {
        auto file = parse_key_file(*text, text_or_path);
        if (!file) return fail(std::move(file.error()));
        return file->key.public_key;
    }
    while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
    auto key = protocol::parse_key(*text);
    return key ? std::move(key) : fail(Errc::invalid, fmt::format("{}: holds no key (ed25519:…)", text_or_path));
}

Result<Signable> signable(const std::string& bytes)
{
    auto manifest = manifest_in(bytes);
    if (!manifest) return fail(std::move(manifest.error()));
    auto text = workflows::read_archive_manifest(bytes);
    if (!text) return fail(Errc::invalid, text.error().what);
    return Signable{manifest->name, manifest->version, workflows::package_digest(bytes), "sha256:" + to_hex(platform::sha256(*text))};
}

Result<protocol::PackageSignature> sign(const Signable& package, const platform::SigningKey& key)
{
    auto bytes = platform::sign(key.private_key, protocol::package_statement(package.name, package.version, package.digest, package.manifest));
    if (!bytes) return fail(std::move(bytes.error()));
    return protocol::PackageSignature{key.public_key, package.manifest, std::move(*bytes)};
}

protocol::SignatureFile file_of(const Signable& package, std::vector<protocol::PackageSignature> signatures)
{
    return {package.name, package.version, package.digest, std::move(signatures)};
}

Result<protocol::SignatureFile> read_signatures(const std::string& path, const Signable& package)
{
    auto text = platform::read_file(path, protocol::kMostSignatureFile);
    if (!text) return fail(text.error().code == Errc::not_found ? Errc::not_found : Errc::invalid, fmt::format("{}: {}", path, text.error().what));
    auto file = protocol::parse_signature_file(std::string_view(*text), path);
    if (!file) return fail(Errc::invalid, file.error().what);
    if (file->digest != package.digest || file->name != package.name || file->version != package.version)
        return fail(Errc::conflict, fmt::format("{}: the signatures are of {} {} ({}), not of {} {} ({}); sign it again (`millwright sign`)", path, file->name, file->version, file->digest,
                                               package.name, package.version, package.digest));
    return file;
}

Result<std::optional<protocol::SignatureFile>> signatures_beside(const std::string& package_path, const Signable& package)
{
    const std::string path = package_path + ".sig";
    if (!platform::exists(path)) return std::optional<protocol::SignatureFile>();
    auto file = read_signatures(path, package);
    if (!file) return fail(std::move(file.error()));
    return std::optional(std::move(*file));
}

Result<Json> send_signatures(Api& api, const protocol::SignatureFile& file)
{
    return api.post(join_path("/v1/packages", file.name, join_path("", file.version, "/signatures")), protocol::to_json(file));
}

Result<std::string> fetch_package(Api& api, const std::string& name, const std::string& version)
{
    const std::string path = join_path("/v1/packages", name, join_path("", version));
    const Result<Json> package = api.get(path);
    if (!package) return fail(package.error());
    Call call{.path = path + "/archive"};
    call.timeout = std::chrono::minutes(5);
    auto answer = api.raw(call);
    if (!answer) return fail(std::move(answer.error()));
    if (answer->status >= 400) return fail(error_of(answer->status, answer->body, name + "@" + version));
    if (const std::string found = workflows::package_digest(answer->body); found != (*package)["digest"].as_string())
        return fail(Errc::denied, fmt::format("{}@{}: the factory says its bytes are {}, and gives bytes that are {}", name, version, (*package)["digest"].as_string(), found));
    return std::move(answer->body);
}

std::string signers_text(const Json& signatures)
{
    std::string out;
    for (const Json& each : signatures.as_array()) {
        const std::string& standing = each["standing"].as_string();
        const std::string& name = each["publisher"].as_string();
        out += fmt::format("{}{}{}", out.empty() ? "" : ", ", name.empty() ? each["fingerprint"].as_string().substr(0, 15) + "…" : name, standing == "counts" ? "" : " (" + standing + ")");
    }
    return out.empty() ? "-" : out;
}

}  // namespace mill::cli
