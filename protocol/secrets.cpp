#include "protocol/secrets.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace mill::protocol {
namespace {

constexpr std::string_view kShown[] = {"hosts", "kind", "username", "user"};

/// Recursion is bounded by the depth of what was parsed.
void each_text(const Json& value, const std::function<void(const std::string& text)>& found)
{
    if (value.is_string()) found(value.as_string());
    for (const Json& item : value.as_array()) each_text(item, found);
    for (const auto& [key, member] : value.as_object())
        if (std::find(std::begin(kShown), std::end(kShown), key) == std::end(kShown)) each_text(member, found);
}

}  // namespace

void each_secret(const Json& credentials, const std::function<void(const std::string& credential, const std::string& member, const std::string& value)>& found)
{
    for (const auto& [name, members] : credentials.as_object()) {
        if (!members.is_object()) each_text(members, [&, &name = name](const std::string& text) { found(name, "", text); });
        for (const auto& [member, value] : members.as_object())
            each_text(Json::object({{member, value}}), [&, &name = name, &member = member](const std::string& text) { found(name, member, text); });
    }
}

Redactor redactor_of_credentials(const Json& credentials)
{
    Redactor out;
    each_secret(credentials, [&](const std::string&, const std::string&, const std::string& value) { out.add(value); });
    return out;
}

void redact_credentials_in_log(const Json& credentials)
{
    each_secret(credentials, [](const std::string& credential, const std::string& member, const std::string& value) { redact_in_log(value, credential, member); });
}

}  // namespace mill::protocol
