// platform/global_key.h -- keys that this program hears whatever has the keyboard's focus (X11).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>

#include "platform/key_combination.h"

namespace mill::platform {

/// Thread: one.
class GlobalKey {
public:
    virtual ~GlobalKey() = default;
    /// Takes the keys for this program, with every lock key on or off. Errors: conflict (another program has them; ask again later), not_found (this
    /// keyboard has no such key), unavailable (the display is gone).
    virtual Status take() = 0;
    /// True when they are pressed, false when `wait` is over. A keyboard that changes meanwhile is followed.
    /// Blocks. Errors: as of take, cancelled, unavailable (the display is gone: so is the session).
    virtual Result<bool> wait(std::optional<std::chrono::milliseconds> wait, std::stop_token stop) = 0;
};

/// On the display that the environment names. Errors: not_found (there is none), unavailable (it does not answer).
Result<std::unique_ptr<GlobalKey>> open_global_key(const KeyCombination& keys);

}  // namespace mill::platform
