// protocol/permissions.h -- what a job may do: asked for by a package, granted by a deployment, capped by an agent's policy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"
#include "platform/base/limits.h"

namespace mill::protocol {

/// A set of grants; empty is nothing. JSON form: the `permissions:` map of package.yaml.
struct Permissions {
    std::vector<std::string> network;      ///< "https://host[:port]", "host:port", "https://*.example.com", "http://127.0.0.1:*"
    std::vector<std::string> read;         ///< absolute paths, a folder grants what is below it
    std::vector<std::string> write;        ///< absolute paths; writing grants reading
    std::vector<std::string> commands;     ///< absolute path of a program, or a bare name
    std::vector<std::string> credentials;  ///< names
    std::vector<std::string> reveal;       ///< of `credentials`: those whose values a command may be given
    std::vector<std::string> publish_metrics, read_metrics;  ///< names of metrics, or "invoices.*"; JSON `metrics: {publish, read}`
    std::vector<std::string> system;       ///< "usage": load, memory, disks and processes of the host
    Limits limits;
};

/// Reads the JSON of `permissions:`. Unknown keys, relative paths, paths with "..", hosts that are none: invalid, all named.
Result<Permissions> parse_permissions(const Json& json, std::string_view where);
Json to_json(const Permissions& permissions);

/// What of `asked` is not covered by `granted`, as readable items: "network https://x.example.com", "files.write /srv/x".
/// A granted folder covers paths below it, a granted wildcard covers hosts below it, a larger limit covers a smaller one.
std::vector<std::string> missing(const Permissions& asked, const Permissions& granted);

/// The items of `asked` that `cap` covers; limits become the smaller ones.
Permissions intersect(const Permissions& asked, const Permissions& cap);

/// True when a rule of `network` admits a connection to scheme://host:port. Rules without scheme admit any.
bool admits_network(const std::vector<std::string>& rules, std::string_view scheme, std::string_view host, std::uint16_t port);

/// True when `path` (absolute, no "..", not resolved on disk) lies in one of `folders`.
bool covers_path(const std::vector<std::string>& folders, std::string_view path);

}  // namespace mill::protocol
