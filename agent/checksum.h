// agent/checksum.h -- CRC-32C (Castagnoli), which the journal's records carry.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace mill::agent {

namespace detail {
constexpr std::array<std::uint32_t, 256> make_crc_table()
{
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78U : 0U);
        table[i] = value;
    }
    return table;
}
inline constexpr auto kCrcTable = make_crc_table();
}  // namespace detail

/// `seed` is the checksum of the bytes before, 0 at the start.
constexpr std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0)
{
    std::uint32_t crc = ~seed;
    for (const char c : bytes) crc = (crc >> 8) ^ detail::kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xFFU];
    return ~crc;
}
static_assert(crc32c("123456789") == 0xE3069283U);

}  // namespace mill::agent
