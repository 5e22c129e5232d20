// studio/beside/assets.h -- the finished files of the person's page, as they lie within the companion.
#pragma once

#include <span>

#include "studio/asset.h"

namespace mill::studio {

/// All of them, for as long as the program runs; none in a build without pages (MILL_CONSOLE=OFF).
std::span<const Asset> beside_assets();

}  // namespace mill::studio
