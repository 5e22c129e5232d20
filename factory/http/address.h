// factory/http/address.h -- IP addresses and networks as text.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill::factory {

/// "192.0.2.7" → 4 bytes, "2001:db8::7" → 16; an IPv4 address within IPv6 (::ffff:192.0.2.7) → 4. Errors: invalid.
Result<std::string> parse_address(std::string_view text);

struct Network {
    std::string address;   ///< 4 or 16 bytes
    unsigned bits = 0;
    bool has(std::string_view address_bytes) const;
};
/// "192.0.2.0/24", "2001:db8::/32", or one address. Errors: invalid (also bits of the host that are set: a slip of the pen).
Result<Network> parse_network(std::string_view text);

}  // namespace mill::factory
