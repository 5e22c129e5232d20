// platform/session_bus.h -- the message bus of a person's desktop session (D-Bus).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "platform/channel.h"

namespace mill::platform {

/// A connection to it. What stands on it (notifications.h, tray.h, shortcut_portal.h) is called back while it is served, on that thread; it
/// ends before the bus does. Thread: one.
class SessionBus {
public:
    struct Connection;   ///< for platform/desktop/ only

    /// Blocks until it answers or has not within ten seconds. Errors: not_found (this session has none), denied, unavailable.
    static Result<std::unique_ptr<SessionBus>> open();
    SessionBus(const SessionBus&) = delete;
    SessionBus& operator=(const SessionBus&) = delete;
    ~SessionBus();

    /// Answers and calls back until one of `others` is readable or `wait` is over. Errors: unavailable (the bus is gone: so is the session).
    Status serve(const std::vector<const Handle*>& others, std::optional<std::chrono::milliseconds> wait);
    Connection& connection() { return *connection_; }

private:
    explicit SessionBus(std::unique_ptr<Connection> connection);
    std::unique_ptr<Connection> connection_;
};

}  // namespace mill::platform
