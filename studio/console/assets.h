// studio/console/assets.h -- the finished files of the console, as they lie within the program.
#pragma once

#include <span>
#include <string_view>

namespace mill::studio {

struct Asset {
    std::string_view name;          ///< "console.js"
    std::string_view content_type;
    std::string_view digest;        ///< of the plain bytes, hexadecimal
    std::string_view plain, gzip;
};

/// All of them, for as long as the program runs; none in a build without the console (MILL_CONSOLE=OFF).
std::span<const Asset> console_assets();

}  // namespace mill::studio
