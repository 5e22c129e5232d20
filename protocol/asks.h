// protocol/asks.h -- how much a run may ask people: runner and agent have the same bounds, and neither trusts the other to keep them.
#pragma once

#include <cstddef>

namespace mill::protocol {

inline constexpr std::size_t kMostAsked = 100;           ///< open at once, as the factory has it
inline constexpr std::size_t kMostAsks = 10'000;         ///< of an attempt in all
inline constexpr std::size_t kMaxAskBytes = 128 * 1024;  ///< of `ask` on the job channel

}  // namespace mill::protocol
