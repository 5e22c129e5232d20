// factory/resources/named_credentials.h -- which members of a document name credentials: the one list of them.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "platform/base/json.h"

namespace mill::factory {

/// Of a Notifier or Trigger in normal form: the member ("api.secret") and the credential.
inline std::vector<std::pair<std::string, std::string>> credentials_named_in(const Json& spec)
{
    static constexpr std::array kParts{"api", "chat", "mail"};
    static constexpr std::array kMembers{"credentials", "secret", "certificate"};
    std::vector<std::pair<std::string, std::string>> out;
    for (const char* part : kParts)
        for (const char* member : kMembers)
            if (const std::string& name = spec[part][member].as_string(); !name.empty()) out.emplace_back(std::string(part) + "." + member, name);
    if (const std::string& name = spec["callbackSecret"].as_string(); !name.empty()) out.emplace_back("callbackSecret", name);
    return out;
}

}  // namespace mill::factory
