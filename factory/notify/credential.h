// factory/notify/credential.h -- a credential as a notifier uses it, and where it may go.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/http_client.h"

namespace mill::factory {

struct Credential {
    std::string name, kind;           ///< sap-cai, basic, login, bearer, header, oauth, hmac, webhook, generic
    Json values;                      ///< {MEMBER: text}; secret
    std::vector<std::string> hosts;   ///< origins or HOST:PORT it may go to; empty: any that the notifier names
    std::string environment = {};     ///< whose notifications may use it; empty: all
    WallTime changed = {};            ///< when its values were stored
};

/// Errors: not_found, denied (expired), corrupt. Thread: any.
using CredentialSource = std::function<Result<Credential>(const std::string& name)>;

/// `environment`: the job's. Errors: denied (names the credential and the host or the environments).
Status may_go_to(const Credential& credential, const platform::Uri& uri, std::string_view environment);

}  // namespace mill::factory
