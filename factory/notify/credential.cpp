#include "factory/notify/credential.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace mill::factory {

Status may_go_to(const Credential& credential, const platform::Uri& uri)
{
    if (credential.hosts.empty()) return {};
    for (std::string rule : credential.hosts) {
        while (rule.ends_with('/')) rule.pop_back();
        for (char& c : rule)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (rule.find("://") != std::string::npos) {
            const auto allowed = platform::parse_uri(rule);
            if (allowed && allowed->scheme == uri.scheme && allowed->host == uri.host && allowed->port == uri.port) return {};
        } else if (rule == uri.host || rule == fmt::format("{}:{}", uri.host, uri.port)) {
            return {};
        }
    }
    return fail(Errc::denied, fmt::format("credential '{}' may not go to {}://{}: its hosts are {}", credential.name, uri.scheme, uri.authority(), fmt::join(credential.hosts, ", ")));
}

}  // namespace mill::factory
