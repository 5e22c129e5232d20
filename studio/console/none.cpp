#include "studio/console/assets.h"

namespace mill::studio {

std::span<const Asset> console_assets() { return {}; }

}  // namespace mill::studio
