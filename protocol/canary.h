// protocol/canary.h -- the package that shows whether an agent runs jobs: part of factory and agent, so that both know its bytes.
#pragma once

#include <string>
#include <string_view>

namespace mill::protocol {

inline constexpr std::string_view kCanaryName = "millwright-canary";   ///< of package, deployment and trigger; nobody else's
inline constexpr std::string_view kCanaryVersion = "1.0.0";
/// Other bytes are another version: an agent admits exactly these without a signature, and with no permission.
inline constexpr std::string_view kCanaryDigest = "sha256:5cee13403aa0161139993938f12723c1bbde3789649a7571902f140fd7ff3653";

/// The .mwp, as `millwright pack tests/canary` makes it.
std::string canary_package();

}  // namespace mill::protocol
