#include "platform/desktop/menu.h"

#include <fmt/format.h>

namespace mill::platform::desktop {
namespace {

constexpr const char* kInterface = "com.canonical.dbusmenu";

/// An underscore would underline the letter behind it.
std::string as_label(const std::string& text)
{
    std::string out;
    for (const char c : text) out += c == '_' ? std::string("__") : std::string(1, c);
    return out;
}

int version(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void*, sd_bus_error*) { return sd_bus_message_append(reply, "u", 3); }
int direction(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void*, sd_bus_error*) { return sd_bus_message_append(reply, "s", "ltr"); }
int status(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void*, sd_bus_error*) { return sd_bus_message_append(reply, "s", "normal"); }
int icon_paths(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void*, sd_bus_error*) { return sd_bus_message_append(reply, "as", 0); }

template <int (Menu::*Method)(sd_bus_message*)>
int answer(sd_bus_message* call, void* menu, sd_bus_error*)
{
    return (static_cast<Menu*>(menu)->*Method)(call);
}

// The macros of the library write C.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
const sd_bus_vtable kMenuTable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("GetLayout", "iias", "u(ia{sv}av)", answer<&Menu::on_layout>, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetGroupProperties", "aias", "a(ia{sv})", answer<&Menu::on_properties>, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetProperty", "is", "v", answer<&Menu::on_property>, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Event", "isvu", "", answer<&Menu::on_event>, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("EventGroup", "a(isvu)", "ai", answer<&Menu::on_events>, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("AboutToShow", "i", "b", answer<&Menu::on_about_to_show>, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL("LayoutUpdated", "ui", 0),
    SD_BUS_SIGNAL("ItemsPropertiesUpdated", "a(ia{sv})a(ias)", 0),
    SD_BUS_SIGNAL("ItemActivationRequested", "iu", 0),
    SD_BUS_PROPERTY("Version", "u", version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("TextDirection", "s", direction, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Status", "s", status, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("IconThemePath", "as", icon_paths, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_VTABLE_END};
#pragma GCC diagnostic pop

}  // namespace

Menu::Menu(SessionBus::Connection& at, std::function<void(const std::string&)> chosen) : at_(at), chosen_(std::move(chosen))
{
    if (sd_bus_add_object_vtable(at_.bus, &slot_, kPath, kInterface, kMenuTable, this) < 0) at_.failed = true;
    rows_[0] = Row{};
}

std::int32_t Menu::add(const MenuItem& item, const std::string& above, std::size_t at)
{
    const std::string key = item.name.empty() ? fmt::format("{}/{}", above, at) : item.name;
    std::int32_t& number = numbers_[key];
    if (number == 0) number = ++last_;
    Row row{number, item, {}};
    row.item.items.clear();
    for (std::size_t i = 0; i < item.items.size(); ++i) row.below.push_back(add(item.items[i], key, i));
    return rows_[number] = std::move(row), number;
}

void Menu::set(std::vector<MenuItem> items)
{
    if (items == items_) return;
    items_ = std::move(items);
    if (numbers_.size() > 4096) numbers_.clear();   // names of jobs that were: a fresh start after days
    rows_.clear();
    Row root{};
    for (std::size_t i = 0; i < items_.size(); ++i) root.below.push_back(add(items_[i], "", i));
    rows_[0] = std::move(root);
    sd_bus_emit_signal(at_.bus, kPath, kInterface, "LayoutUpdated", "ui", ++revision_, 0);
}

void Menu::append_properties(sd_bus_message* to, const Row& row) const
{
    sd_bus_message_open_container(to, 'a', "{sv}");
    if (row.id == 0) append_text(to, "children-display", "submenu");
    else if (row.item.label.empty()) append_text(to, "type", "separator");
    else {
        append_text(to, "label", as_label(row.item.label));
        append_flag(to, "enabled", row.item.enabled && (!row.item.name.empty() || !row.below.empty()));
        append_flag(to, "visible", true);
        if (!row.below.empty()) append_text(to, "children-display", "submenu");
    }
    sd_bus_message_close_container(to);
}

void Menu::append_row(sd_bus_message* to, const Row& row, std::int32_t depth) const
{
    sd_bus_message_open_container(to, 'r', "ia{sv}av");
    sd_bus_message_append(to, "i", row.id);
    append_properties(to, row);
    sd_bus_message_open_container(to, 'a', "v");
    if (depth != 0)
        for (const std::int32_t below : row.below) {
            sd_bus_message_open_container(to, 'v', "(ia{sv}av)");
            append_row(to, rows_.at(below), depth - 1);
            sd_bus_message_close_container(to);
        }
    sd_bus_message_close_container(to);
    sd_bus_message_close_container(to);
}

namespace {

int send(sd_bus_message* reply)
{
    const int sent = sd_bus_send(nullptr, reply, nullptr);
    sd_bus_message_unref(reply);
    return sent < 0 ? sent : 1;
}

}  // namespace

int Menu::on_layout(sd_bus_message* call)
{
    std::int32_t parent = 0, depth = 0;
    if (const int read = sd_bus_message_read(call, "ii", &parent, &depth); read < 0) return read;
    const auto found = rows_.find(parent);
    if (found == rows_.end()) return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS, "there is no item %d", parent);
    sd_bus_message* reply = nullptr;
    if (const int made = sd_bus_message_new_method_return(call, &reply); made < 0) return made;
    sd_bus_message_append(reply, "u", revision_);
    append_row(reply, found->second, depth);
    return send(reply);
}

int Menu::on_properties(sd_bus_message* call)
{
    sd_bus_message* reply = nullptr;
    if (const int made = sd_bus_message_new_method_return(call, &reply); made < 0) return made;
    sd_bus_message_open_container(reply, 'a', "(ia{sv})");
    const auto one = [&](const Row& row) {
        sd_bus_message_open_container(reply, 'r', "ia{sv}");
        sd_bus_message_append(reply, "i", row.id);
        append_properties(reply, row);
        sd_bus_message_close_container(reply);
    };
    std::int32_t id = 0;
    bool any = false;
    sd_bus_message_enter_container(call, 'a', "i");
    while (sd_bus_message_read(call, "i", &id) > 0) {
        any = true;
        if (const auto found = rows_.find(id); found != rows_.end()) one(found->second);
    }
    if (!any)
        for (const auto& [number, row] : rows_) one(row);
    sd_bus_message_close_container(reply);
    return send(reply);
}

int Menu::on_property(sd_bus_message* call)
{
    std::int32_t id = 0;
    const char* name = nullptr;
    if (const int read = sd_bus_message_read(call, "is", &id, &name); read < 0) return read;
    const auto found = rows_.find(id);
    if (found == rows_.end()) return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS, "there is no item %d", id);
    const MenuItem& item = found->second.item;
    const std::string_view which(name);
    if (which == "label") return sd_bus_reply_method_return(call, "v", "s", as_label(item.label).c_str());
    if (which == "enabled") return sd_bus_reply_method_return(call, "v", "b", item.enabled ? 1 : 0);
    if (which == "visible") return sd_bus_reply_method_return(call, "v", "b", 1);
    if (which == "type") return sd_bus_reply_method_return(call, "v", "s", id != 0 && item.label.empty() ? "separator" : "standard");
    return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_INVALID_ARGS, "an item has no such property");
}

void Menu::clicked(std::int32_t id, const std::string& event)
{
    if (event != "clicked") return;
    const auto found = rows_.find(id);
    if (found == rows_.end() || found->second.item.name.empty() || !found->second.item.enabled) return;
    chosen_(std::string(found->second.item.name));
}

int Menu::on_event(sd_bus_message* call)
{
    std::int32_t id = 0;
    const char* event = nullptr;
    if (const int read = sd_bus_message_read(call, "is", &id, &event); read < 0) return read;
    // Answered first: what is chosen may change the menu.
    const std::string what(event);
    const int sent = sd_bus_reply_method_return(call, nullptr);
    clicked(id, what);
    return sent < 0 ? sent : 1;
}

int Menu::on_events(sd_bus_message* call)
{
    std::vector<std::pair<std::int32_t, std::string>> all;
    if (const int entered = sd_bus_message_enter_container(call, 'a', "(isvu)"); entered < 0) return entered;
    while (sd_bus_message_enter_container(call, 'r', "isvu") > 0) {
        std::int32_t id = 0;
        const char* event = nullptr;
        if (sd_bus_message_read(call, "is", &id, &event) >= 0) all.emplace_back(id, event);
        sd_bus_message_skip(call, "vu");
        sd_bus_message_exit_container(call);
    }
    const int sent = sd_bus_reply_method_return(call, "ai", 0);
    for (const auto& [id, event] : all) clicked(id, event);
    return sent < 0 ? sent : 1;
}

int Menu::on_about_to_show(sd_bus_message* call) { return sd_bus_reply_method_return(call, "b", 0); }

}  // namespace mill::platform::desktop
