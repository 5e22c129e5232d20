// platform/fingerprint.h -- a public key as two people compare it.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/encode.h"
#include "platform/crypto.h"

namespace mill::platform {

/// "SHA256:" and 43 characters: base64url of the digest of the 32 raw bytes. Empty for no key.
inline std::string fingerprint(std::string_view public_key)
{
    return public_key.empty() ? std::string() : "SHA256:" + to_base64url(sha256(public_key));
}

}  // namespace mill::platform
