// platform/desktop/menu.h -- a menu that a panel reads and shows (com.canonical.dbusmenu, version 3).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "platform/desktop/bus.h"
#include "platform/tray.h"

namespace mill::platform::desktop {

class Menu {
public:
    static constexpr const char* kPath = "/Menu";

    Menu(SessionBus::Connection& at, std::function<void(const std::string& name)> chosen);
    ~Menu() { sd_bus_slot_unref(slot_); }
    Menu(const Menu&) = delete;
    Menu& operator=(const Menu&) = delete;

    void set(std::vector<MenuItem> items);

    // What the bus asks.
    int on_layout(sd_bus_message* call);
    int on_properties(sd_bus_message* call);
    int on_property(sd_bus_message* call);
    int on_event(sd_bus_message* call);
    int on_events(sd_bus_message* call);
    int on_about_to_show(sd_bus_message* call);

private:
    struct Row {
        std::int32_t id = 0;
        MenuItem item;                       ///< without its items
        std::vector<std::int32_t> below;
    };
    std::int32_t add(const MenuItem& item, const std::string& above, std::size_t at);
    void append_properties(sd_bus_message* to, const Row& row) const;
    void append_row(sd_bus_message* to, const Row& row, std::int32_t depth) const;
    void clicked(std::int32_t id, const std::string& event);

    SessionBus::Connection& at_;
    sd_bus_slot* slot_ = nullptr;
    const std::function<void(const std::string&)> chosen_;
    std::map<std::int32_t, Row> rows_;
    /// An item keeps its number while it is there in any form: a click on a menu that is a moment old means what it said.
    std::map<std::string, std::int32_t> numbers_;
    std::vector<MenuItem> items_;
    std::uint32_t revision_ = 1;
    std::int32_t last_ = 0;
};

}  // namespace mill::platform::desktop
