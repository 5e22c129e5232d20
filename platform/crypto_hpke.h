// platform/crypto_hpke.h -- sealing for one receiver: HPKE (RFC 9180), base mode, single shot, with DHKEM(X25519, HKDF-SHA256),
// HKDF-SHA256 and AES-128-GCM. Who seals is not proven: whoever has the public key can.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill::platform {

/// X25519 (RFC 7748). Keys are 32 raw bytes.
struct SealingKey {
    std::string private_key, public_key;
};
SealingKey make_sealing_key();

/// 32 bytes of the sender's one-time key, then the ciphertext, then its tag of 16 bytes. `info` says which protocol this is, `context`
/// (RFC 9180: aad) what the box is for; both must be the same when it is opened. Thread: any.
/// Errors: invalid (the key is none: its length, or a point of small order).
Result<std::string> seal_to(std::string_view public_key, std::string_view plain, std::string_view info, std::string_view context);

/// Errors: corrupt (cut, damaged, for another key, info or context: which of them cannot be told).
Result<std::string> open_sealed_by(const SealingKey& key, std::string_view sealed, std::string_view info, std::string_view context);

}  // namespace mill::platform
