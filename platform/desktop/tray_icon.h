// platform/desktop/tray_icon.h -- the tray's pictures, drawn here: no theme has to have them.
#pragma once

#include <cstdint>
#include <vector>

#include "platform/tray.h"

namespace mill::platform::desktop {

/// `side` × `side` pixels, ARGB, the alpha byte first.
std::vector<std::uint8_t> draw_icon(TrayLook::State state, int side);

}  // namespace mill::platform::desktop
