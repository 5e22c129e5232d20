// platform/base/units.h -- sizes with their unit in the type.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill {

struct ByteCount {
    std::uint64_t bytes = 0;
    auto operator<=>(const ByteCount&) const = default;
};

constexpr ByteCount kibibytes(std::uint64_t n) { return {n * 1024}; }
constexpr ByteCount mebibytes(std::uint64_t n) { return {n * 1024 * 1024}; }

/// "256MiB", "1GiB", "64KiB", "100B", or a plain number of bytes. Errors: invalid.
Result<ByteCount> parse_bytes(std::string_view text);
std::string format_bytes(ByteCount count);  ///< the largest unit that divides it: "256MiB", "1500B"

}  // namespace mill
