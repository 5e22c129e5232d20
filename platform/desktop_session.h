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

/// Where its parts are asked. As the environment of the process says, when empty.
struct DesktopOptions {
    std::chrono::milliseconds idle_after{300'000};   ///< without a key or a mouse
    bool system_bus = true, session_bus = true, x11 = true;
};

class DesktopWatch {
public:
    virtual ~DesktopWatch() = default;       ///< ends the thread; `changed` runs no more afterwards
    virtual DesktopSession now() const = 0;  ///< Thread: any
};

/// Looks once, then waits for what logind, the session's bus and the X server say of themselves; asks nobody again and again. `changed` runs on
/// the watch's own thread, with what holds from now on; must not block. What cannot be reached is left out, and said in `unknown`. Errors: unavailable (no thread).
Result<std::unique_ptr<DesktopWatch>> watch_desktop(std::function<void(const DesktopSession&)> changed, const DesktopOptions& options = {});

/// Names this desktop session for a lock: $XDG_RUNTIME_DIR and the session's or display's name. Empty: there is no such folder.
std::string desktop_lock_path(std::string_view program);

}  // namespace mill::platform
