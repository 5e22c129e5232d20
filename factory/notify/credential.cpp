#include "factory/notify/credential.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/notify/egress.h"
#include "platform/base/text.h"

namespace mill::factory {

Status may_go_to(const Credential& credential, const platform::Uri& uri, std::string_view environment)
{
    if (!credential.environment.empty() && credential.environment != environment)
        return fail(Errc::denied, fmt::format("credential '{}' belongs to environment '{}', {}", credential.name, credential.environment,
                                              environment.empty() ? std::string("and this is of none") : fmt::format("the job ran in '{}'", environment)));
    if (credential.hosts.empty()) return {};
    for (const std::string& host : credential.hosts) {
        std::string rule = lower_case(host);
        while (rule.ends_with('/')) rule.pop_back();
        if (rule.find("://") != std::string::npos) {
            // A mail server's origin is read as any other's, with the port of its own where none is said.
            const std::size_t behind = rule.find("://");
            const bool mail = rule.starts_with("smtp"), port = rule.find(':', behind + 3) != std::string::npos;
            auto allowed = platform::parse_uri((mail ? "https" : rule.substr(0, behind)) + rule.substr(behind));
            if (allowed && mail && !port) allowed->port = default_port(rule.substr(0, behind));
            if (allowed && rule.substr(0, behind) == uri.scheme && allowed->host == uri.host && allowed->port == uri.port) return {};
        } else if (rule == uri.host || rule == fmt::format("{}:{}", uri.host, uri.port)) {
            return {};
        }
    }
    return fail(Errc::denied, fmt::format("credential '{}' may not go to {}://{}: its hosts are {}", credential.name, uri.scheme, uri.authority(), fmt::join(credential.hosts, ", ")));
}

}  // namespace mill::factory
