#include "cli/credential_words.h"

#include <fmt/format.h>

#include "cli/listing.h"
#include "platform/base/clock.h"
#include "platform/base/redact.h"
#include "protocol/secrets.h"

namespace mill::cli {
namespace {

/// What only signs is sent nowhere.
bool goes_anywhere(const Json& credential) { return credential["hosts"].empty() && credential["kind"].as_string() != "hmac"; }

}  // namespace

std::string hosts_of(const Json& credential) { return goes_anywhere(credential) ? "any host" : joined(credential["hosts"]); }

std::vector<std::string> warnings_of(const Json& stored, const Json& values)
{
    std::vector<std::string> out;
    const std::string& name = stored["name"].as_string();
    if (goes_anywhere(stored)) out.push_back(fmt::format("warning: {} is usable at every host that a job may reach; bind it with --hosts HOST", name));
    if (const Result<WallTime> expires = parse_time(stored["expires"].as_string()); expires && *expires <= system_clock().now())
        out.push_back(fmt::format("warning: {} has expired on {}: nothing can use it", name, stored["expires"].as_string()));
    protocol::each_secret(Json::object({{name, values}}), [&](const std::string&, const std::string& member, const std::string& value) {
        if (!Redactor().add(value)) out.push_back(fmt::format("warning: the value of '{}' in {} is too short to be masked in logs and answers", member, name));
    });
    return out;
}

}  // namespace mill::cli
