// platform/linux/x11_session.h -- what an X server tells of its desktop: whether a key was pressed lately, whether a window fills the screen.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "platform/desktop_session.h"

namespace mill::platform {

/// Event-driven: alarms of the Sync extension on the server's own idle counter, and changes of _NET_ACTIVE_WINDOW and its _NET_WM_STATE. Thread: one.
class X11Session {
public:
    X11Session();
    X11Session(const X11Session&) = delete;
    X11Session& operator=(const X11Session&) = delete;
    ~X11Session();
    /// Of `place`, or of $DISPLAY; without one, or when it does not answer, nothing is known.
    void open(std::chrono::milliseconds idle_after, const DesktopPlace& place = {});
    bool valid() const;
    int descriptor() const;
    /// Takes what came; true when something may be different now.
    bool process();
    void say(DesktopSigns& to) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mill::platform
