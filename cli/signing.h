// cli/signing.h -- publishers' keys as files, and signatures of packages made, sent and looked at.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/api.h"
#include "platform/crypto.h"
#include "protocol/signature.h"

namespace mill::cli {

/// A publisher's key as `keys new` writes it: {name, publicKey, privateKey}, closed to others.
struct KeyFile {
    std::string name;
    platform::SigningKey key;
};
/// Errors: invalid (no such file as `keys new` writes), denied (others may read it).
Result<KeyFile> read_key_file(const std::string& path);
std::string key_file_text(const KeyFile& file);

/// A public key: "ed25519:…", or a file that holds one (a key file, too). Errors: invalid.
Result<std::string> public_key_in(const std::string& text_or_path);

/// What is signed of a package's bytes, without signatures. Errors: invalid (no package).
struct Signable {
    std::string name, version, digest, manifest;   ///< digests as "sha256:HEX"
};
Result<Signable> signable(const std::string& bytes);
Result<protocol::PackageSignature> sign(const Signable& package, const platform::SigningKey& key);
protocol::SignatureFile file_of(const Signable& package, std::vector<protocol::PackageSignature> signatures);

/// FILE.mwp.sig of FILE.mwp; nothing when there is none. Errors: invalid (it is none), conflict (it is of other bytes than `package`).
Result<std::optional<protocol::SignatureFile>> signatures_beside(const std::string& package_path, const Signable& package);
Result<protocol::SignatureFile> read_signatures(const std::string& path, const Signable& package);

/// Adds them to the version at the factory. Its package as it is then.
Result<Json> send_signatures(Api& api, const protocol::SignatureFile& file);
/// The bytes of a published version. Errors: also corrupt (they are not what the factory says they are).
Result<std::string> fetch_package(Api& api, const std::string& name, const std::string& version);

/// "acme, zeta (revoked), unknown", of `signatures` as the API shows them.
std::string signers_text(const Json& signatures);

}  // namespace mill::cli
