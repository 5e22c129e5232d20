// agent/broker/keyring.h -- credentials in the session's keyring of the user whose agent this is (libsecret).
#pragma once

#include <stop_token>
#include <string>

#include "platform/base/result.h"

namespace mill::broker {

/// Whether there is a session to ask, and `secret-tool` to ask it with (Debian: libsecret-tools). A service has none.
bool has_keyring();

/// What `secret-tool store --label … millwright NAME` was given. Blocks: up to 20 s, for the person may have to unlock the keyring.
/// Errors: not_found, timeout, cancelled, unavailable.
Result<std::string> look_in_keyring(const std::string& name, std::stop_token stop);

}  // namespace mill::broker
