// factory/notify/credential.h -- a credential as a notifier uses it, and where it may go.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/http_client.h"

namespace mill::factory {

struct Credential {
    std::string name, kind;           ///< sap-cai, basic, login, bearer, header, hmac, generic
    Json values;                      ///< {MEMBER: text}; secret
    std::vector<std::string> hosts;   ///< origins or HOST:PORT it may go to; empty: any that the notifier names
};

/// Errors: not_found, denied (expired), corrupt. Thread: any.
using CredentialSource = std::function<Result<Credential>(const std::string& name)>;

/// Errors: denied (names the credential and the host).
Status may_go_to(const Credential& credential, const platform::Uri& uri);

}  // namespace mill::factory
