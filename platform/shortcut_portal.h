// platform/shortcut_portal.h -- keys that this program hears on Wayland: the desktop's portal grants them (org.freedesktop.portal.GlobalShortcuts).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "platform/key_combination.h"
#include "platform/session_bus.h"

namespace mill::platform {

/// Asks for it at once, and again when the portal comes again. Thread: that of the bus.
class ShortcutPortal {
public:
    struct Heard {
        std::function<void()> pressed;
        std::function<void()> changed;   ///< what `granted` and `why` say
    };
    /// `id` and `description`: of the one shortcut; the desktop shows the description when it asks the person.
    ShortcutPortal(SessionBus& bus, std::string id, std::string description, KeyCombination keys, Heard heard);
    ~ShortcutPortal();

    const std::string& granted() const;   ///< the keys as the desktop says them; empty: none
    const std::string& why() const;       ///< why there are none

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mill::platform
