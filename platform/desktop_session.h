// platform/desktop_session.h -- whether somebody sits at this desktop, and whether they may be disturbed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"

namespace mill::platform {

enum class DesktopState { unknown, none, active, idle, locked, presentation, other_user };
std::string_view name(DesktopState state);   ///< "unknown", "none", …

struct DesktopSession {
    DesktopState state = DesktopState::unknown;   ///< unknown: nobody here could tell
    std::string user;                        ///< of the session; empty: not known
    std::string display = "none";            ///< "x11", "wayland", "none"
    std::vector<std::string> unknown;        ///< what nobody here could tell: "lock", "idle", "presentation", "user"
    bool operator==(const DesktopSession&) const = default;
};

/// What the parts of a desktop say, each of it or nothing; which state that is. Pure.
struct DesktopSigns {
    bool asked = false;                      ///< somebody who would know of a session was asked
    bool session = false;                    ///< there is one: logind knows it, or a display was opened
    std::string user, display = "none";
    std::optional<bool> active, locked, idle, fullscreen;
};
DesktopSession session_of(const DesktopSigns& signs);

/// Where an X server is, for a program that was not started inside its session.
struct DesktopPlace {
    std::string display;                     ///< ":0"; empty: nowhere
    std::string authority;                   ///< the file with its cookies (XAUTHORITY); empty: the user's own
};

/// Where its parts are asked. As the environment of the process says, when empty.
struct DesktopOptions {
    std::chrono::milliseconds idle_after{300'000};   ///< without a key or a mouse
    bool system_bus = true, session_bus = true, x11 = true;
};

class DesktopWatch {
public:
    virtual ~DesktopWatch() = default;       ///< ends the thread; `changed` runs no more afterwards
    virtual DesktopSession now() const = 0;  ///< Thread: any
    /// Somebody inside a desktop says where it is: looked at from now on, unless an X server is watched already. Of one that ends another one may be
    /// told. Thread: any; does not block.
    virtual void look_at(DesktopPlace place) = 0;
};

/// Looks once, then waits for what logind, the session's bus and the X server say of themselves; asks nobody again and again. `changed` runs on
/// the watch's own thread, with what holds from now on; must not block. What cannot be reached is left out, and said in `unknown`. Errors: unavailable (no thread).
Result<std::unique_ptr<DesktopWatch>> watch_desktop(std::function<void(const DesktopSession&)> changed, const DesktopOptions& options = {});

/// A lock for what a person has once, in $XDG_RUNTIME_DIR: of the user, because a service of theirs may begin before it knows its session and
/// its display. Empty: there is no such folder.
std::string desktop_lock_path(std::string_view program);

}  // namespace mill::platform
