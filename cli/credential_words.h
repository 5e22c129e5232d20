// cli/credential_words.h -- what a person is told about a credential, beside its own members.
#pragma once

#include <string>
#include <vector>

#include "platform/base/json.h"

namespace mill::cli {

/// Its hosts as a list shows them; "any host" when it names none and goes to any.
std::string hosts_of(const Json& credential);

/// `stored` as the factory answers, `values` as they were given. No value is in it.
std::vector<std::string> warnings_of(const Json& stored, const Json& values);

}  // namespace mill::cli
