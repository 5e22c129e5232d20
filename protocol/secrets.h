// protocol/secrets.h -- which texts of credentials must not be shown.
#pragma once

#include <functional>
#include <string>

#include "platform/base/json.h"
#include "platform/base/redact.h"

namespace mill::protocol {

/// Every text in credentials (NAME → members) but hosts, kinds and names of users.
void each_secret(const Json& credentials, const std::function<void(const std::string& credential, const std::string& member, const std::string& value)>& found);
/// Knows each of them that is long enough to be masked.
Redactor redactor_of_credentials(const Json& credentials);
/// Makes the log know them; it is warned, once and by name, of those that are too short to be masked.
void redact_credentials_in_log(const Json& credentials);

}  // namespace mill::protocol
