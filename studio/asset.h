// studio/asset.h -- one finished file of a page, as it lies within a program.
#pragma once

#include <string_view>

namespace mill::studio {

struct Asset {
    std::string_view name;          ///< "console.js"
    std::string_view content_type;
    std::string_view digest;        ///< of the plain bytes, hexadecimal
    std::string_view plain, gzip;
};

}  // namespace mill::studio
