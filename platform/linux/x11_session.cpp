#include "platform/linux/x11_session.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <xcb/sync.h>
#include <xcb/xcb.h>

#include "platform/files.h"

namespace mill::platform {
namespace {

constexpr std::size_t kCounterHead = 14;   // of a system counter on the wire; xcb_sync_systemcounter_name looks behind the padding of its own struct

constexpr std::string_view kCookie = "MIT-MAGIC-COOKIE-1";
constexpr unsigned kOfThisMachine = 256, kOfAnyMachine = 65535;
constexpr std::size_t kMostAuthority = 1024 * 1024;

/// The display's cookie in a file of X's authorities: entries of a family, then address, display's number, kind and value, each behind its length; 16 bits,
/// the high byte first. Empty: there is none.
std::string cookie_in(std::string_view file, std::string_view display)
{
    const std::string_view number = display.substr(1, display.find('.') - 1);   // ":0.1"
    const auto take = [&](std::size_t size) {
        const std::string_view out = file.substr(0, size);
        file.remove_prefix(out.size());
        return out;
    };
    const auto short_number = [&] {
        const std::string_view two = take(2);
        return two.size() < 2 ? 0U : static_cast<unsigned>(static_cast<unsigned char>(two[0])) << 8 | static_cast<unsigned char>(two[1]);
    };
    while (!file.empty()) {
        const unsigned family = short_number();
        (void)take(short_number());
        const std::string_view of = take(short_number()), kind = take(short_number()), value = take(short_number());
        if ((family == kOfThisMachine || family == kOfAnyMachine) && kind == kCookie && (of.empty() || of == number)) return std::string(value);
    }
    return {};
}

xcb_connection_t* connect_to(const DesktopPlace& place, int& screen)
{
    if (place.display.empty() || place.authority.empty()) return xcb_connect(place.display.empty() ? nullptr : place.display.c_str(), &screen);
    const auto file = read_file(place.authority, kMostAuthority);
    std::string cookie = file ? cookie_in(*file, place.display) : std::string(), kind(kCookie);
    xcb_auth_info_t with{static_cast<int>(kind.size()), kind.data(), static_cast<int>(cookie.size()), cookie.data()};
    return xcb_connect_to_display_with_auth_info(place.display.c_str(), cookie.empty() ? nullptr : &with, &screen);
}

template <class T>
struct FreeReply {
    void operator()(T* reply) const { std::free(reply); }
};
template <class T>
using Reply = std::unique_ptr<T, FreeReply<T>>;

}  // namespace

struct X11Session::State {
    xcb_connection_t* x = nullptr;
    xcb_window_t root = 0, active = 0;
    xcb_atom_t active_window = 0, wm_state = 0, full = 0;
    std::uint8_t sync_event = 0;            // the first number of the Sync extension's events; 0: it is not there
    xcb_sync_alarm_t became_idle = 0, came_back = 0;
    std::optional<bool> idle, fullscreen;

    ~State()
    {
        if (x != nullptr) xcb_disconnect(x);
    }
    xcb_atom_t atom(std::string_view name) const
    {
        const Reply<xcb_intern_atom_reply_t> reply(xcb_intern_atom_reply(x, xcb_intern_atom(x, 0, static_cast<std::uint16_t>(name.size()), name.data()), nullptr));
        return reply ? reply->atom : static_cast<xcb_atom_t>(XCB_ATOM_NONE);
    }
    void watch(xcb_window_t window, std::uint32_t events) const { xcb_change_window_attributes(x, window, XCB_CW_EVENT_MASK, &events); }

    /// The window that has the keyboard, as the window manager says. A desktop without one says nothing.
    void read_active()
    {
        const Reply<xcb_get_property_reply_t> reply(xcb_get_property_reply(x, xcb_get_property(x, 0, root, active_window, XCB_ATOM_WINDOW, 0, 1), nullptr));
        const bool said = reply && reply->type == XCB_ATOM_WINDOW && xcb_get_property_value_length(reply.get()) >= 4;
        xcb_window_t next = 0;
        if (said) std::memcpy(&next, xcb_get_property_value(reply.get()), sizeof next);
        if (active != 0 && active != next) watch(active, 0);   // it may be gone: an error that nobody reads
        if (next != 0 && active != next) watch(next, XCB_EVENT_MASK_PROPERTY_CHANGE);
        active = next;
        if (said) read_state();
        else fullscreen.reset();
    }
    void read_state()
    {
        fullscreen = false;
        if (active == 0) return;
        const Reply<xcb_get_property_reply_t> reply(xcb_get_property_reply(x, xcb_get_property(x, 0, active, wm_state, XCB_ATOM_ATOM, 0, 64), nullptr));
        if (!reply || reply->type != XCB_ATOM_ATOM) return;
        const auto* states = static_cast<const xcb_atom_t*>(xcb_get_property_value(reply.get()));
        for (int i = 0; i < xcb_get_property_value_length(reply.get()) / 4; ++i)
            if (states[i] == full) fullscreen = true;
    }

    std::optional<xcb_sync_counter_t> idle_counter() const
    {
        const xcb_query_extension_reply_t* sync = xcb_get_extension_data(x, &xcb_sync_id);
        if (sync == nullptr || sync->present == 0) return std::nullopt;
        const Reply<xcb_sync_initialize_reply_t> version(xcb_sync_initialize_reply(x, xcb_sync_initialize(x, 3, 1), nullptr));
        const Reply<xcb_sync_list_system_counters_reply_t> all(xcb_sync_list_system_counters_reply(x, xcb_sync_list_system_counters(x), nullptr));
        if (!version || !all) return std::nullopt;
        for (auto each = xcb_sync_list_system_counters_counters_iterator(all.get()); each.rem > 0; xcb_sync_systemcounter_next(&each))
            if (std::string_view(reinterpret_cast<const char*>(each.data) + kCounterHead, each.data->name_len) == "IDLETIME") return each.data->counter;
        return std::nullopt;
    }
    xcb_sync_alarm_t alarm(xcb_sync_counter_t counter, std::int64_t milliseconds, xcb_sync_testtype_t test) const
    {
        xcb_sync_create_alarm_value_list_t values{};
        values.counter = counter;
        values.valueType = XCB_SYNC_VALUETYPE_ABSOLUTE;
        values.value = {static_cast<std::int32_t>(milliseconds >> 32), static_cast<std::uint32_t>(milliseconds)};
        values.testType = test;
        values.delta = {0, 0};
        values.events = 1;
        const xcb_sync_alarm_t id = xcb_generate_id(x);
        xcb_sync_create_alarm_aux(x, id, XCB_SYNC_CA_COUNTER | XCB_SYNC_CA_VALUE_TYPE | XCB_SYNC_CA_VALUE | XCB_SYNC_CA_TEST_TYPE | XCB_SYNC_CA_DELTA | XCB_SYNC_CA_EVENTS, &values);
        return id;
    }
    void watch_idle(std::int64_t milliseconds)
    {
        const auto counter = idle_counter();
        if (!counter) return;
        sync_event = xcb_get_extension_data(x, &xcb_sync_id)->first_event;
        became_idle = alarm(*counter, milliseconds, XCB_SYNC_TESTTYPE_POSITIVE_TRANSITION);
        came_back = alarm(*counter, milliseconds, XCB_SYNC_TESTTYPE_NEGATIVE_TRANSITION);
        const Reply<xcb_sync_query_counter_reply_t> now(xcb_sync_query_counter_reply(x, xcb_sync_query_counter(x, *counter), nullptr));
        if (!now) return;
        idle = (static_cast<std::int64_t>(now->counter_value.hi) << 32 | now->counter_value.lo) >= milliseconds;
    }
    void on_event(const xcb_generic_event_t& event)
    {
        const std::uint8_t type = event.response_type & 0x7f;
        if (type == XCB_PROPERTY_NOTIFY) {
            const auto& property = reinterpret_cast<const xcb_property_notify_event_t&>(event);
            if (property.window == root && property.atom == active_window) read_active();
            else if (property.window == active && property.atom == wm_state) read_state();
        } else if (sync_event != 0 && type == sync_event + XCB_SYNC_ALARM_NOTIFY) {
            const auto& said = reinterpret_cast<const xcb_sync_alarm_notify_event_t&>(event);
            if (said.alarm == became_idle) idle = true;
            else if (said.alarm == came_back) idle = false;
        }
    }
};

X11Session::X11Session() = default;
X11Session::~X11Session() = default;

void X11Session::open(std::chrono::milliseconds idle_after, const DesktopPlace& place)
{
    const char* display = std::getenv("DISPLAY");
    if (place.display.empty() && (display == nullptr || *display == '\0')) return;
    auto state = std::make_unique<State>();
    int screen = 0;
    state->x = connect_to(place, screen);
    if (xcb_connection_has_error(state->x) != 0) return;
    auto each = xcb_setup_roots_iterator(xcb_get_setup(state->x));
    for (; screen > 0 && each.rem > 1; --screen) xcb_screen_next(&each);
    state->root = each.data->root;
    state->active_window = state->atom("_NET_ACTIVE_WINDOW");
    state->wm_state = state->atom("_NET_WM_STATE");
    state->full = state->atom("_NET_WM_STATE_FULLSCREEN");
    state->watch(state->root, XCB_EVENT_MASK_PROPERTY_CHANGE);
    state->read_active();
    state->watch_idle(idle_after.count());
    xcb_flush(state->x);
    state_ = std::move(state);
}

bool X11Session::valid() const { return state_ != nullptr; }
int X11Session::descriptor() const { return xcb_get_file_descriptor(state_->x); }

bool X11Session::process()
{
    bool came = false;
    while (const Reply<xcb_generic_event_t> event{xcb_poll_for_event(state_->x)}) {
        came = true;
        if (event->response_type != 0) state_->on_event(*event);   // 0: an error, of a window that is gone
    }
    xcb_flush(state_->x);
    if (xcb_connection_has_error(state_->x) == 0) return came;
    state_.reset();   // the server is gone, and the session with it
    return true;
}

void X11Session::say(DesktopSigns& to) const
{
    if (!state_) return;
    to.session = true;
    if (to.display == "none") to.display = "x11";
    to.idle = state_->idle;
    to.fullscreen = state_->fullscreen;
}

}  // namespace mill::platform
