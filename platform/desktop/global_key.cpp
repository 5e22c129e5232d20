#include "platform/global_key.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include <poll.h>
#include <xcb/xcb.h>

#include <fmt/format.h>

#include "platform/posix/wait.h"

namespace mill::platform {
namespace {

constexpr std::uint32_t kAltL = 0xffe9, kSuperL = 0xffeb, kNumLock = 0xff7f, kScrollLock = 0xff14;
constexpr int kBadAccess = 10;

struct Free {
    void operator()(void* held) const { std::free(held); }
};
template <class T> using Reply = std::unique_ptr<T, Free>;

class X11Key : public GlobalKey {
public:
    X11Key(xcb_connection_t* connection, KeyCombination keys) : connection_(connection), keys_(std::move(keys)) {}
    ~X11Key() override { xcb_disconnect(connection_); }
    X11Key(const X11Key&) = delete;
    X11Key& operator=(const X11Key&) = delete;

    Status take() override;
    Result<bool> wait(std::optional<std::chrono::milliseconds> wait, std::stop_token stop) override;

private:
    Status read_keyboard();
    std::uint16_t modifier_of(std::uint32_t symbol) const;
    using Grab = std::tuple<xcb_window_t, xcb_keycode_t, std::uint16_t>;   ///< on a screen: a key with exactly these modifiers
    void let_go(const std::set<Grab>& grabs);
    Error gone() const { return {Errc::unavailable, "the display is gone"}; }

    xcb_connection_t* const connection_;
    const KeyCombination keys_;
    std::vector<std::vector<std::uint32_t>> symbols_;      ///< by key code, from the first that there is
    std::vector<std::vector<xcb_keycode_t>> modifiers_;    ///< the keys of each of the eight
    xcb_keycode_t first_ = 8;
    std::set<Grab> held_;
    std::uint16_t wanted_ = 0, locks_ = 0;
    bool changed_ = false;                                 ///< the keyboard, since it was read
};

Status X11Key::read_keyboard()
{
    const xcb_setup_t* setup = xcb_get_setup(connection_);
    if (xcb_connection_has_error(connection_) != 0) return fail(gone());
    first_ = setup->min_keycode;
    const auto count = static_cast<std::uint8_t>(setup->max_keycode - setup->min_keycode + 1);
    const auto asked_keys = xcb_get_keyboard_mapping(connection_, first_, count);
    const auto asked_modifiers = xcb_get_modifier_mapping(connection_);
    const Reply<xcb_get_keyboard_mapping_reply_t> keys(xcb_get_keyboard_mapping_reply(connection_, asked_keys, nullptr));
    const Reply<xcb_get_modifier_mapping_reply_t> modifiers(xcb_get_modifier_mapping_reply(connection_, asked_modifiers, nullptr));
    if (!keys || !modifiers) return fail(gone());
    const auto* symbols = xcb_get_keyboard_mapping_keysyms(keys.get());
    symbols_.assign(count, {});
    for (std::size_t i = 0; i < count; ++i) symbols_[i].assign(symbols + i * keys->keysyms_per_keycode, symbols + (i + 1) * keys->keysyms_per_keycode);
    const auto* codes = xcb_get_modifier_mapping_keycodes(modifiers.get());
    modifiers_.assign(8, {});
    for (std::size_t i = 0; i < 8; ++i)
        for (std::size_t j = 0; j < modifiers->keycodes_per_modifier; ++j)
            if (const xcb_keycode_t code = codes[i * modifiers->keycodes_per_modifier + j]; code != 0) modifiers_[i].push_back(code);
    return {};
}

/// The modifier that a key with this symbol is; 0: none is.
std::uint16_t X11Key::modifier_of(std::uint32_t symbol) const
{
    for (std::size_t i = 0; i < modifiers_.size(); ++i)
        for (const xcb_keycode_t code : modifiers_[i]) {
            if (code < first_ || static_cast<std::size_t>(code - first_) >= symbols_.size()) continue;
            for (const std::uint32_t each : symbols_[static_cast<std::size_t>(code - first_)])
                if (each == symbol) return static_cast<std::uint16_t>(1U << i);
        }
    return 0;
}

void X11Key::let_go(const std::set<Grab>& grabs)
{
    for (const auto& [root, code, modifiers] : grabs) xcb_ungrab_key(connection_, code, root, modifiers);
    xcb_flush(connection_);
}

/// What is held stays held while that changes nothing: a keyboard changes in the eyes of X whenever another device is typed on, and the keys that
/// come right then are to be heard.
Status X11Key::take()
{
    changed_ = false;
    if (auto read = read_keyboard(); !read) return read;
    std::vector<xcb_keycode_t> codes;
    for (std::size_t i = 0; i < symbols_.size(); ++i)
        if (!symbols_[i].empty() && symbols_[i][0] == keys_.symbol) codes.push_back(static_cast<xcb_keycode_t>(first_ + i));
    const std::uint16_t alt = modifier_of(kAltL), super = modifier_of(kSuperL);
    const bool no_modifier = (keys_.alt && alt == 0) || (keys_.super && super == 0);
    if (codes.empty() || no_modifier) {
        let_go(std::exchange(held_, {}));
        return fail(Errc::not_found, codes.empty() ? fmt::format("this keyboard has no key {}", keys_.key) : fmt::format("this keyboard has no {}", keys_.alt && alt == 0 ? "Alt" : "Super"));
    }
    wanted_ = static_cast<std::uint16_t>((keys_.control ? XCB_MOD_MASK_CONTROL : 0) | (keys_.shift ? XCB_MOD_MASK_SHIFT : 0) | (keys_.alt ? alt : 0) | (keys_.super ? super : 0));
    // A lock key that is on is a modifier, too: each of their combinations is one grab.
    locks_ = static_cast<std::uint16_t>((XCB_MOD_MASK_LOCK | modifier_of(kNumLock) | modifier_of(kScrollLock)) & ~wanted_);
    std::set<Grab> all, fresh, old;
    for (auto screens = xcb_setup_roots_iterator(xcb_get_setup(connection_)); screens.rem > 0; xcb_screen_next(&screens))
        for (const xcb_keycode_t code : codes)
            for (std::uint16_t lock = locks_;; lock = static_cast<std::uint16_t>((lock - 1) & locks_)) {   // each part of the mask, the empty one last
                all.emplace(screens.data->root, code, static_cast<std::uint16_t>(wanted_ | lock));
                if (lock == 0) break;
            }
    std::set_difference(all.begin(), all.end(), held_.begin(), held_.end(), std::inserter(fresh, fresh.end()));
    std::set_difference(held_.begin(), held_.end(), all.begin(), all.end(), std::inserter(old, old.end()));
    std::vector<xcb_void_cookie_t> asked;
    for (const auto& [root, code, modifiers] : fresh)
        asked.push_back(xcb_grab_key_checked(connection_, 1, root, modifiers, code, XCB_GRAB_MODE_ASYNC, XCB_GRAB_MODE_ASYNC));
    int refused = 0;
    for (const auto cookie : asked)
        if (const Reply<xcb_generic_error_t> error(xcb_request_check(connection_, cookie)); error) refused = error->error_code;
    if (xcb_connection_has_error(connection_) != 0) return fail(gone());
    let_go(old);
    held_ = std::move(all);
    if (refused == 0) return {};
    let_go(std::exchange(held_, {}));   // all or nothing: a key that works with NumLock alone would be worse than none
    if (refused == kBadAccess) return fail(Errc::conflict, fmt::format("{} belongs to another program already", format_key(keys_)));
    return fail(Errc::unavailable, fmt::format("the display refuses {} (X11 error {})", format_key(keys_), refused));
}

Result<bool> X11Key::wait(std::optional<std::chrono::milliseconds> wait, std::stop_token stop)
{
    const auto deadline = deadline_of(wait);
    while (true) {
        while (const Reply<xcb_generic_event_t> event{xcb_poll_for_event(connection_)}) {
            const int kind = event->response_type & 0x7f;
            if (kind == XCB_MAPPING_NOTIFY) changed_ = changed_ || reinterpret_cast<const xcb_mapping_notify_event_t*>(event.get())->request != XCB_MAPPING_POINTER;
            if (kind != XCB_KEY_PRESS) continue;
            const auto* press = reinterpret_cast<const xcb_key_press_event_t*>(event.get());
            // Of a grab alone: nothing else is sent to us.
            if ((press->state & 0xff & ~locks_) == wanted_) return true;
        }
        if (xcb_connection_has_error(connection_) != 0) return fail(gone());
        if (changed_) {
            if (auto again = take(); !again) return fail(std::move(again.error()));
            continue;   // what came meanwhile is read already
        }
        auto ready = wait_ready(xcb_get_file_descriptor(connection_), POLLIN, deadline, stop);
        if (!ready) return fail(std::move(ready.error()));
        if (!*ready) return false;
    }
}

}  // namespace

Result<std::unique_ptr<GlobalKey>> open_global_key(const KeyCombination& keys)
{
    const char* display = std::getenv("DISPLAY");
    if (display == nullptr || *display == '\0') return fail(Errc::not_found, "there is no X11 display (DISPLAY)");
    xcb_connection_t* connection = xcb_connect(nullptr, nullptr);
    if (const int error = xcb_connection_has_error(connection); error != 0) {
        xcb_disconnect(connection);
        return fail(Errc::unavailable, fmt::format("the display {} does not answer", display));
    }
    return std::make_unique<X11Key>(connection, keys);
}

}  // namespace mill::platform
