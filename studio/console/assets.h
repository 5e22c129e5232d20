// studio/console/assets.h -- the finished files of the console, as they lie within the program.
#pragma once

#include <span>

#include "studio/asset.h"

namespace mill::studio {

/// All of them, for as long as the program runs; none in a build without the console (MILL_CONSOLE=OFF).
std::span<const Asset> console_assets();

}  // namespace mill::studio
