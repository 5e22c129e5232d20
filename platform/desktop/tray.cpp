#include "platform/tray.h"

#include <fmt/format.h>

#include "platform/desktop/bus.h"
#include "platform/desktop/menu.h"
#include "platform/desktop/tray_icon.h"

namespace mill::platform {
namespace desktop {

/// What the bus asks after.
struct Icon {
    std::string id;
    TrayLook look;
    std::function<void()> activated;
};

}  // namespace desktop

namespace {

using desktop::Icon;

constexpr const char *kWatcher = "org.kde.StatusNotifierWatcher", *kWatcherPath = "/StatusNotifierWatcher", *kItem = "org.kde.StatusNotifierItem",
                     *kItemPath = "/StatusNotifierItem";

void append_pixmaps(sd_bus_message* to, TrayLook::State state)
{
    sd_bus_message_open_container(to, 'a', "(iiay)");
    for (const int side : {22, 44}) {
        const auto pixels = desktop::draw_icon(state, side);
        sd_bus_message_open_container(to, 'r', "iiay");
        sd_bus_message_append(to, "ii", side, side);
        sd_bus_message_append_array(to, 'y', pixels.data(), pixels.size());
        sd_bus_message_close_container(to);
    }
    sd_bus_message_close_container(to);
}

const char* status_of(const TrayLook& look) { return look.state == TrayLook::State::asks ? "NeedsAttention" : "Active"; }

int item_property(sd_bus*, const char*, const char*, const char* property, sd_bus_message* reply, void* held, sd_bus_error*)
{
    const Icon& icon = *static_cast<const Icon*>(held);
    const std::string_view name(property);
    if (name == "Category") return sd_bus_message_append(reply, "s", "ApplicationStatus");
    if (name == "Id") return sd_bus_message_append(reply, "s", icon.id.c_str());
    if (name == "Title") return sd_bus_message_append(reply, "s", icon.look.title.c_str());
    if (name == "Status") return sd_bus_message_append(reply, "s", status_of(icon.look));
    if (name == "ItemIsMenu") return sd_bus_message_append(reply, "b", 0);
    if (name == "Menu") return sd_bus_message_append(reply, "o", desktop::Menu::kPath);
    if (name == "WindowId") return sd_bus_message_append(reply, "i", 0);
    if (name == "OverlayIconPixmap") return sd_bus_message_append(reply, "a(iiay)", 0);
    if (name == "ToolTip") return sd_bus_message_append(reply, "(sa(iiay)ss)", "", 0, icon.look.title.c_str(), icon.look.text.c_str());
    if (name == "IconPixmap" || name == "AttentionIconPixmap") {
        append_pixmaps(reply, icon.look.state);
        return 1;
    }
    return sd_bus_message_append(reply, "s", "");   // names of a theme's icons: ours are drawn
}

int item_activate(sd_bus_message* call, void* held, sd_bus_error*)
{
    const int sent = sd_bus_reply_method_return(call, nullptr);
    static_cast<Icon*>(held)->activated();
    return sent < 0 ? sent : 1;
}

int item_ignore(sd_bus_message* call, void*, sd_bus_error*) { return sd_bus_reply_method_return(call, nullptr); }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
const sd_bus_vtable kItemTable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Category", "s", item_property, 0, 0),
    SD_BUS_PROPERTY("Id", "s", item_property, 0, 0),
    SD_BUS_PROPERTY("Title", "s", item_property, 0, 0),
    SD_BUS_PROPERTY("Status", "s", item_property, 0, 0),
    SD_BUS_PROPERTY("WindowId", "i", item_property, 0, 0),
    SD_BUS_PROPERTY("IconName", "s", item_property, 0, 0),
    SD_BUS_PROPERTY("IconPixmap", "a(iiay)", item_property, 0, 0),
    SD_BUS_PROPERTY("OverlayIconName", "s", item_property, 0, 0),
    SD_BUS_PROPERTY("OverlayIconPixmap", "a(iiay)", item_property, 0, 0),
    SD_BUS_PROPERTY("AttentionIconName", "s", item_property, 0, 0),
    SD_BUS_PROPERTY("AttentionIconPixmap", "a(iiay)", item_property, 0, 0),
    SD_BUS_PROPERTY("AttentionMovieName", "s", item_property, 0, 0),
    SD_BUS_PROPERTY("ToolTip", "(sa(iiay)ss)", item_property, 0, 0),
    SD_BUS_PROPERTY("ItemIsMenu", "b", item_property, 0, 0),
    SD_BUS_PROPERTY("Menu", "o", item_property, 0, 0),
    SD_BUS_METHOD("Activate", "ii", "", item_activate, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("SecondaryActivate", "ii", "", item_ignore, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ContextMenu", "ii", "", item_ignore, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Scroll", "is", "", item_ignore, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL("NewTitle", "", 0),
    SD_BUS_SIGNAL("NewIcon", "", 0),
    SD_BUS_SIGNAL("NewAttentionIcon", "", 0),
    SD_BUS_SIGNAL("NewToolTip", "", 0),
    SD_BUS_SIGNAL("NewStatus", "s", 0),
    SD_BUS_VTABLE_END};
#pragma GCC diagnostic pop

}  // namespace

struct Tray::State {
    State(SessionBus::Connection& bus, std::string id, Heard to_tell)
        : at(bus), heard(std::move(to_tell)), icon{std::move(id), {}, heard.activated}, menu(at, heard.chosen)
    {
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { sd_bus_slot_unref(slot); }

    void register_with_watcher();
    void ask_for_panel();
    void say(bool is_watched, bool is_shown);

    SessionBus::Connection& at;
    const Heard heard;
    Icon icon;
    desktop::Menu menu;
    sd_bus_slot* slot = nullptr;
    bool watched = false, shown = false;
};

void Tray::State::say(bool is_watched, bool is_shown)
{
    const bool before = watched && shown;
    watched = is_watched;
    shown = is_shown;
    if (before != (watched && shown)) heard.changed();
}

void Tray::State::register_with_watcher()
{
    const char* name = nullptr;
    if (sd_bus_get_unique_name(at.bus, &name) < 0) return;
    desktop::Call call(at, kWatcher, kWatcherPath, kWatcher, "RegisterStatusNotifierItem");
    sd_bus_message_append(*call, "s", name);   // our own connection, the item at its usual path
    call.send([this](sd_bus_message* answer, const std::string&) {
        say(answer != nullptr, shown);
        if (answer != nullptr) ask_for_panel();
    });
}

void Tray::State::ask_for_panel()
{
    desktop::Call call(at, kWatcher, kWatcherPath, "org.freedesktop.DBus.Properties", "Get");
    sd_bus_message_append(*call, "ss", kWatcher, "IsStatusNotifierHostRegistered");
    call.send([this](sd_bus_message* answer, const std::string&) {
        int there = 0;
        if (answer != nullptr && sd_bus_message_read(answer, "v", "b", &there) >= 0) say(watched, there != 0);
    });
}

Tray::Tray(SessionBus& bus, std::string id, Heard heard) : state_(std::make_unique<State>(bus.connection(), std::move(id), std::move(heard)))
{
    State& state = *state_;
    if (sd_bus_add_object_vtable(state.at.bus, &state.slot, kItemPath, kItem, kItemTable, &state.icon) < 0) state.at.failed = true;
    desktop::on_owner(state.at, kWatcher, [&state](bool there) {
        if (there) state.register_with_watcher();
        else state.say(false, false);
    });
    desktop::on_signal(state.at, kWatcher, kWatcher, "StatusNotifierHostRegistered", [&state](sd_bus_message*) { state.ask_for_panel(); });
    desktop::on_signal(state.at, kWatcher, kWatcher, "StatusNotifierHostUnregistered", [&state](sd_bus_message*) { state.ask_for_panel(); });
    state.register_with_watcher();
}

Tray::~Tray() = default;

bool Tray::there() const { return state_->watched && state_->shown; }

void Tray::set(const TrayLook& look, std::vector<MenuItem> menu)
{
    TrayLook& now = state_->icon.look;
    const TrayLook before = std::exchange(now, look);
    sd_bus* const bus = state_->at.bus;
    const auto emit = [&](const char* signal) { sd_bus_emit_signal(bus, kItemPath, kItem, signal, ""); };
    if (before.title != look.title) emit("NewTitle");
    if (before.title != look.title || before.text != look.text) emit("NewToolTip");
    if (before.state != look.state) {
        emit("NewIcon");
        emit("NewAttentionIcon");
        sd_bus_emit_signal(bus, kItemPath, kItem, "NewStatus", "s", status_of(look));
    }
    state_->menu.set(std::move(menu));
}

}  // namespace mill::platform
