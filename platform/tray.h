// platform/tray.h -- an icon beside the clock, with a menu (StatusNotifierItem and com.canonical.dbusmenu).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "platform/session_bus.h"

namespace mill::platform {

struct MenuItem {
    std::string name;                 ///< what is told when it is chosen; empty: nothing can be
    std::string label;                ///< empty: a line between items
    bool enabled = true;
    std::vector<MenuItem> items;      ///< a menu of its own
    bool operator==(const MenuItem&) const = default;
};

struct TrayLook {
    enum class State { idle, working, asks, away } state = State::idle;
    std::string title, text;          ///< text: more, for a tooltip
    bool operator==(const TrayLook&) const = default;
};

/// Registers itself with whatever shows such icons, again when that comes again. Thread: that of the bus.
class Tray {
public:
    struct Heard {
        std::function<void()> activated;                         ///< the icon was clicked
        std::function<void(const std::string& name)> chosen;     ///< a menu's item
        std::function<void()> changed;                           ///< what `there` says
    };
    /// `id`: the program's, as the desktop remembers it.
    Tray(SessionBus& bus, std::string id, Heard heard);
    ~Tray();

    void set(const TrayLook& look, std::vector<MenuItem> menu);
    bool there() const;   ///< it is shown: something that watches has it, and there is a panel that shows it

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mill::platform
