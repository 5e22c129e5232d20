// platform/service_host.h -- the host of a long-running program: systemd, or a terminal.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string_view>

#include "platform/channel.h"

namespace mill::platform {

/// Blocks SIGTERM, SIGINT, SIGHUP in all threads (make it first in main) and turns the first two into a stop request.
/// Ignores SIGPIPE. One per process.
class ServiceHost {
public:
    enum class Mode {
        watched,  ///< a thread of its own turns signals into the stop request
        polled,   ///< no thread: the caller waits for `signals()` and asks `take_signals`
    };
    explicit ServiceHost(Mode mode = Mode::watched);
    ServiceHost(const ServiceHost&) = delete;
    ServiceHost& operator=(const ServiceHost&) = delete;
    ~ServiceHost();
    std::stop_token stop() const;
    void request_stop();
    void wait();                              ///< until stop is requested
    bool wait_for(std::chrono::milliseconds time);   ///< the same, but not longer; true when it was
    const Handle& signals() const;            ///< readable when a signal came
    struct Came {
        bool stop = false, reload = false;    ///< reload: SIGHUP
    };
    Came take_signals();
    void ready(std::string_view status);      ///< sd_notify READY=1 STATUS=…; nothing outside systemd
    void status(std::string_view status);
    void stopping();
    /// How often the service manager wants to hear `alive` (sd_watchdog_enabled(3)), halved; nothing when it does not watch this process.
    std::optional<std::chrono::milliseconds> watchdog() const;
    void alive();

private:
    struct State;
    State* state_;
};

}  // namespace mill::platform
