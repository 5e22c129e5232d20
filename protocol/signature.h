// protocol/signature.h -- a publisher's signature of a package: what is signed, how a key and a signature are written, the file beside the package.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"

namespace mill::protocol {

inline constexpr std::size_t kMostSignatures = 16;          ///< of one package
inline constexpr std::size_t kMostSignatureFile = 64 * 1024;

/// One Ed25519 signature. It names its key and no publisher: whose key that is, only those say who trust it.
struct PackageSignature {
    std::string key;        ///< 32 bytes, the public half
    std::string manifest;   ///< "sha256:HEX" of the package's manifest.json, byte for byte
    std::string bytes;      ///< 64 bytes
};

/// The text that is signed. A signature of it is of no use for another version, other bytes, or anything else that such a key signs.
std::string package_statement(std::string_view name, std::string_view version, std::string_view digest, std::string_view manifest);

/// "ed25519:BASE64", as people write it. Errors: invalid.
std::string key_text(std::string_view public_key);
Result<std::string> parse_key(std::string_view text);

/// [{key, manifest, signature}], no key twice. `wire`: members that are not known are left alone. Errors: invalid, too_large.
Json to_json(const std::vector<PackageSignature>& signatures);
Result<std::vector<PackageSignature>> parse_signatures(const Json& list, const std::string& where, bool wire = false);

/// NAME-VERSION.mwp.sig, and what is sent to the factory: {package: {name, version, digest}, signatures: […]}.
struct SignatureFile {
    std::string name, version, digest;
    std::vector<PackageSignature> signatures;
};
Json to_json(const SignatureFile& file);
Result<SignatureFile> parse_signature_file(const Json& json, const std::string& where);
Result<SignatureFile> parse_signature_file(std::string_view text, const std::string& where);

bool is_digest(std::string_view text);   ///< "sha256:" and 64 digits in lower case

}  // namespace mill::protocol
