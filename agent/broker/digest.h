// agent/broker/digest.h -- HTTP digest authentication (RFC 7616): MD5 and SHA-256, also -sess, qop auth.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/result.h"

namespace mill::broker {

struct Challenge {
    std::string realm, nonce, opaque;
    std::string algorithm = "MD5";  ///< as the server spelled it
    bool sha256 = false, session = false;
    bool qop = false;     ///< auth is offered; else the server is of before RFC 2617
    bool stale = false, user_hash = false;
};

/// The strongest digest challenge in the values of WWW-Authenticate. Errors: not_found (none is digest), invalid (none that can be met).
Result<Challenge> choose_challenge(const std::vector<std::string>& www_authenticate);

/// The value of Authorization. `uri` is the request's target as sent, `count` how often the nonce was used, this time included.
std::string digest_header(const Challenge& challenge, std::string_view user, std::string_view password, std::string_view method, std::string_view uri,
                          std::uint32_t count, std::string_view client_nonce);

}  // namespace mill::broker
