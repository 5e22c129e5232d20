// platform/crypto.h -- digests, signatures and random keys (OpenSSL 3).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill::platform {

std::string sha256(std::string_view bytes);                                  ///< 32 bytes
Result<std::string> sha256_file(const std::string& path);                    ///< 32 bytes
std::string hmac_sha256(std::string_view key, std::string_view bytes);       ///< 32 bytes
bool equal_constant_time(std::string_view a, std::string_view b);

/// Ed25519 (RFC 8032). Keys are 32 raw bytes, signatures 64.
struct SigningKey {
    std::string private_key, public_key;
};
SigningKey make_signing_key();
Result<std::string> sign(std::string_view private_key, std::string_view bytes);
bool verify(std::string_view public_key, std::string_view bytes, std::string_view signature);

/// AES-256-GCM with a random nonce in front; `context` is authenticated. Key: 32 bytes. Errors of open: corrupt.
std::string seal(std::string_view key, std::string_view plain, std::string_view context);
Result<std::string> open_sealed(std::string_view key, std::string_view sealed, std::string_view context);

/// JWT (RFC 7519) with EdDSA (RFC 8037): the claims as a JSON text. Errors: invalid, denied (signature).
Result<std::string> make_jwt(std::string_view private_key, std::string_view key_id, std::string_view claims_json);
Result<std::string> verify_jwt(std::string_view public_key, std::string_view jwt);  ///< the claims' JSON text
Result<std::string> jwt_claims_unverified(std::string_view jwt);                    ///< to find whose key to verify with

}  // namespace mill::platform
