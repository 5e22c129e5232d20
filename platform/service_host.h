// platform/service_host.h -- the host of a long-running program: systemd, or a terminal.
#pragma once

#include <stop_token>
#include <string_view>

namespace mill::platform {

/// Blocks SIGTERM, SIGINT, SIGHUP in all threads (call first in main) and turns the first two into a stop request.
/// Ignores SIGPIPE. One per process.
class ServiceHost {
public:
    ServiceHost();
    ~ServiceHost();
    std::stop_token stop() const;
    void request_stop();
    void wait();                              ///< until stop is requested
    void ready(std::string_view status);      ///< sd_notify READY=1 STATUS=…; nothing outside systemd
    void status(std::string_view status);
    void stopping();

private:
    struct State;
    State* state_;
};

}  // namespace mill::platform
