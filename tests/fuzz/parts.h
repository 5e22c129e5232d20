// tests/fuzz/parts.h -- one input of the search as two texts, parted by a line of two dashes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace mill::fuzz {

inline std::pair<std::string_view, std::string_view> parts(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::size_t cut = text.find("\n--\n");
    if (cut == std::string_view::npos) return {text, {}};
    return {text.substr(0, cut), text.substr(cut + 4)};
}

}  // namespace mill::fuzz
