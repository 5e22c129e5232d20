// agent/broker/verdict.h -- may this attempt do that? Pure checks of a request against the grants; a refusal says what to write.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/broker/message.h"
#include "platform/http_client.h"
#include "protocol/permissions.h"

namespace mill::broker {

/// Scheme, host and port against `network`.
Outcome<void> may_connect(const protocol::Permissions& grants, const platform::Uri& uri);

/// The addresses that may be connected to, of those that the host resolved to; never none. Loopback, link-local and metadata services
/// need a grant that names the address itself (loopback: or localhost); other private ranges one that names the host without a wildcard.
Outcome<std::vector<std::string>> admit_addresses(const protocol::Permissions& grants, const platform::Uri& uri,
                                                  const std::vector<std::string>& addresses);

enum class Access { read, write };

/// A granted place: `name` is relative to `folder`, which is the grant (or its parent when the grant is the file itself).
struct Place {
    std::string folder, name;
    bool exact = false;  ///< the path is the grant itself: a folder or a file
};
Outcome<Place> may_reach(const protocol::Permissions& grants, std::string_view path, Access access);

/// The program to start for an absolute path or a bare name (searched in the system's folders).
Outcome<std::string> may_start(const protocol::Permissions& grants, std::string_view program);

Outcome<void> may_see_usage(const protocol::Permissions& grants);
Outcome<void> may_use_credential(const protocol::Permissions& grants, std::string_view name);
/// Its values may leave the broker.
Outcome<void> may_reveal(const protocol::Permissions& grants, std::string_view name);

}  // namespace mill::broker
