// platform/local_http.h -- HTTP/1.1 (RFC 9112) on a socket in the file system or on loopback: a program's own state, few callers, short answers.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "platform/base/result.h"

namespace mill::platform {

struct LocalRequest {
    std::string method = "GET", target = "/", body;
    std::string user;            ///< who calls, as the kernel says (SO_PEERCRED): a name, or a number without one; empty on loopback
};

struct LocalResponse {
    int status = 200;
    std::string body;
    std::string type = "application/json";
};

/// Called on the server's one thread, one request at a time; must not block.
using LocalHandler = std::function<LocalResponse(const LocalRequest& request)>;

/// At most 16 callers at once, heads of 8 KiB, bodies of 64 KiB, 10 s from connection to answer; one request a connection.
class LocalServer {
public:
    virtual ~LocalServer() = default;   ///< ends the thread; open requests are cut off
    /// Where it listens: the path, or HOST:PORT with the port that was chosen for 0.
    virtual const std::string& address() const = 0;
};

/// A socket at `path`, by default for its owner and root. One that a program left behind is replaced: make sure that none uses it.
/// Errors: invalid (the path is longer than a socket's may be), denied, unavailable.
Result<std::unique_ptr<LocalServer>> serve_local_socket(const std::string& path, LocalHandler handler, unsigned mode = 0600);
/// HOST is 127.0.0.1 or ::1. Errors: invalid (no loopback address), conflict (the port is taken), denied.
Result<std::unique_ptr<LocalServer>> serve_loopback(const std::string& host_and_port, LocalHandler handler);

/// One request to such a socket. Blocks, at most `wait`. Errors: not_found (nobody listens there), denied, timeout, unavailable.
Result<LocalResponse> call_local_socket(const std::string& path, const LocalRequest& request, std::chrono::milliseconds wait);

}  // namespace mill::platform
