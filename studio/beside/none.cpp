#include "studio/beside/assets.h"

namespace mill::studio {

std::span<const Asset> beside_assets() { return {}; }

}  // namespace mill::studio
