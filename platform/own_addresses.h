// platform/own_addresses.h -- the addresses of this machine's network interfaces.
#pragma once

#include <string>
#include <vector>

namespace mill::platform {

/// As text, IPv6 without zone; loopback included. Empty when the system does not say.
std::vector<std::string> own_addresses();

}  // namespace mill::platform
