#include "platform/shortcut_portal.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/ids.h"
#include "platform/desktop/bus.h"

namespace mill::platform {
namespace {

constexpr const char *kPortal = "org.freedesktop.portal.Desktop", *kPortalPath = "/org/freedesktop/portal/desktop", *kShortcuts = "org.freedesktop.portal.GlobalShortcuts",
                     *kRequest = "org.freedesktop.portal.Request";

std::string fresh_token()
{
    std::string token = "millwright_" + new_uid();
    std::replace(token.begin(), token.end(), '-', '_');
    return token;
}

}  // namespace

struct ShortcutPortal::State {
    State(SessionBus::Connection& bus, std::string name, std::string words, KeyCombination wanted, Heard to_tell)
        : at(bus), id(std::move(name)), description(std::move(words)), keys(std::move(wanted)), heard(std::move(to_tell))
    {
    }

    void ask();
    void bind();
    void bound(sd_bus_message* results);
    void say(std::string is_granted, std::string reason);
    void send(desktop::Call& call);

    SessionBus::Connection& at;
    const std::string id, description;
    const KeyCombination keys;
    const Heard heard;
    std::string granted, why = "the desktop was not asked yet";
    std::string session, token;         ///< the session's path; the end of the path of what is being asked, as we chose it
    enum class Asking { nothing, session, keys } asking = Asking::nothing;
};

void ShortcutPortal::State::say(std::string is_granted, std::string reason)
{
    if (granted == is_granted && why == reason) return;
    granted = std::move(is_granted);
    why = std::move(reason);
    heard.changed();
}

/// The answer proper comes as a signal of an object whose path ends with our token; it may come before the call's own answer.
void ShortcutPortal::State::send(desktop::Call& call)
{
    call.send([this](sd_bus_message* answer, const std::string& error) {
        if (answer != nullptr) return;
        asking = Asking::nothing;
        say("", "this desktop grants no keys (" + error + ")");
    });
}

void ShortcutPortal::State::ask()
{
    asking = Asking::session;
    session.clear();
    desktop::Call call(at, kPortal, kPortalPath, kShortcuts, "CreateSession");
    sd_bus_message_open_container(*call, 'a', "{sv}");
    desktop::append_text(*call, "handle_token", token = fresh_token());
    desktop::append_text(*call, "session_handle_token", fresh_token());
    sd_bus_message_close_container(*call);
    send(call);
}

void ShortcutPortal::State::bind()
{
    asking = Asking::keys;
    desktop::Call call(at, kPortal, kPortalPath, kShortcuts, "BindShortcuts");
    sd_bus_message* const out = *call;
    sd_bus_message_append(out, "o", session.c_str());
    sd_bus_message_open_container(out, 'a', "(sa{sv})");
    sd_bus_message_open_container(out, 'r', "sa{sv}");
    sd_bus_message_append(out, "s", id.c_str());
    sd_bus_message_open_container(out, 'a', "{sv}");
    desktop::append_text(out, "description", description);
    desktop::append_text(out, "preferred_trigger", portal_trigger(keys));
    for (int i = 0; i < 3; ++i) sd_bus_message_close_container(out);
    sd_bus_message_append(out, "s", "");   // no window of ours
    sd_bus_message_open_container(out, 'a', "{sv}");
    desktop::append_text(out, "handle_token", token = fresh_token());
    sd_bus_message_close_container(out);
    send(call);
}

/// One member of a{sv} that has `key`: true, and the message stands in its value.
void ShortcutPortal::State::bound(sd_bus_message* results)
{
    const char *key = nullptr, *type = nullptr;
    std::string session_path, trigger;
    bool ours = false;
    sd_bus_message_enter_container(results, 'a', "{sv}");
    while (sd_bus_message_enter_container(results, 'e', "sv") > 0) {
        if (sd_bus_message_read(results, "s", &key) < 0) break;
        const std::string name(key);
        char kind = 0;
        sd_bus_message_peek_type(results, &kind, &type);
        const std::string inside(type == nullptr ? "" : type);
        if (name == "session_handle" && (inside == "s" || inside == "o")) {
            const char* path = nullptr;
            sd_bus_message_read(results, "v", inside.c_str(), &path);
            session_path = path == nullptr ? "" : path;
        } else if (name == "shortcuts" && inside == "a(sa{sv})") {
            sd_bus_message_enter_container(results, 'v', "a(sa{sv})");
            sd_bus_message_enter_container(results, 'a', "(sa{sv})");
            while (sd_bus_message_enter_container(results, 'r', "sa{sv}") > 0) {
                const char* which = nullptr;
                sd_bus_message_read(results, "s", &which);
                const bool this_one = which != nullptr && id == which;
                ours = ours || this_one;
                sd_bus_message_enter_container(results, 'a', "{sv}");
                while (sd_bus_message_enter_container(results, 'e', "sv") > 0) {
                    const char *what = nullptr, *text = nullptr;
                    sd_bus_message_read(results, "s", &what);
                    sd_bus_message_peek_type(results, &kind, &type);
                    if (what != nullptr && std::string_view(what) == "trigger_description" && type != nullptr && std::string_view(type) == "s") {
                        sd_bus_message_read(results, "v", "s", &text);
                        if (this_one && text != nullptr) trigger = text;
                    } else {
                        sd_bus_message_skip(results, "v");
                    }
                    sd_bus_message_exit_container(results);
                }
                sd_bus_message_exit_container(results);
                sd_bus_message_exit_container(results);
            }
            sd_bus_message_exit_container(results);
            sd_bus_message_exit_container(results);
        } else {
            sd_bus_message_skip(results, "v");
        }
        sd_bus_message_exit_container(results);
    }
    sd_bus_message_exit_container(results);
    if (asking == Asking::session) {
        session = session_path;
        if (!session.empty()) return bind();
        asking = Asking::nothing;
        return say("", "this desktop's portal made no session");
    }
    asking = Asking::nothing;
    if (ours) say(trigger.empty() ? format_key(keys) : trigger, "");
    else say("", "the desktop granted no key");
}

ShortcutPortal::ShortcutPortal(SessionBus& bus, std::string id, std::string description, KeyCombination keys, Heard heard)
    : state_(std::make_unique<State>(bus.connection(), std::move(id), std::move(description), std::move(keys), std::move(heard)))
{
    State& state = *state_;
    desktop::on_owner(state.at, kPortal, [&state](bool there) {
        if (there) state.ask();
        else state.say("", "the desktop's portal is gone");
    });
    desktop::on_signal(state.at, kPortal, kRequest, "Response", [&state](sd_bus_message* message) {
        std::uint32_t how = 0;
        const char* path = sd_bus_message_get_path(message);
        if (state.asking == State::Asking::nothing || path == nullptr || !std::string_view(path).ends_with("/" + state.token) || sd_bus_message_read(message, "u", &how) < 0) return;
        if (how == 0) return state.bound(message);
        state.asking = State::Asking::nothing;
        state.say("", how == 1 ? "it was refused when the desktop asked" : "the desktop granted no key");
    });
    desktop::on_signal(state.at, kPortal, kShortcuts, "Activated", [&state](sd_bus_message* message) {
        const char *session = nullptr, *which = nullptr;
        if (sd_bus_message_read(message, "os", &session, &which) >= 0 && state.session == session && state.id == which) state.heard.pressed();
    });
    state.ask();
}

ShortcutPortal::~ShortcutPortal() = default;
const std::string& ShortcutPortal::granted() const { return state_->granted; }
const std::string& ShortcutPortal::why() const { return state_->why; }

}  // namespace mill::platform
