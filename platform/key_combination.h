// platform/key_combination.h -- keys pressed together, as people write them: "Ctrl+Alt+Pause".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill::platform {

struct KeyCombination {
    bool control = false, alt = false, shift = false, super = false;
    std::string key;             ///< "Pause", "F12", "A"
    std::uint32_t symbol = 0;    ///< the same as a keysym (X11, xkbcommon)
    bool operator==(const KeyCombination&) const = default;
};

/// Modifiers are Ctrl, Alt, Shift and Super, in any order and spelling of case; keys are letters, digits, F1 to F24, Pause, Break, ScrollLock, Escape,
/// Insert, Delete, Home, End, PageUp, PageDown, Space. A key alone is only one that nobody types with: F1 to F24, Pause, Break, ScrollLock.
/// Errors: invalid, which says what may stand there.
Result<KeyCombination> parse_key_combination(std::string_view text);
std::string format_key(const KeyCombination& keys);        ///< "Ctrl+Alt+Pause"
/// As the Shortcuts specification of freedesktop.org writes it: "CTRL+ALT+Pause".
std::string portal_trigger(const KeyCombination& keys);

}  // namespace mill::platform
