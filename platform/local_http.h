// platform/local_http.h -- HTTP/1.1 (RFC 9112) on a socket in the file system or on loopback: a program's own state, few callers, short answers.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/result.h"

namespace mill::platform {

/// Name and value; names in small letters.
using LocalHeaders = std::vector<std::pair<std::string, std::string>>;

struct LocalRequest {
    std::string method = "GET", target = "/", body = {};
    std::string user = {};                 ///< who calls, as the kernel says (SO_PEERCRED): a name, or a number without one; empty on loopback
    std::optional<std::uint32_t> uid = {}; ///< the same as a number
    LocalHeaders headers = {};             ///< as they came; of a caller only `call_local_socket` sends them
    /// The first of that name; empty: there is none.
    std::string_view header(std::string_view name) const;
};

struct LocalResponse {
    int status = 200;
    std::string body = {};
    std::string type = "application/json";
    LocalHeaders headers = {};             ///< more of them; `cache-control: no-store` is there already
};

/// Called on the server's one thread, one request at a time; must not block.
using LocalHandler = std::function<LocalResponse(const LocalRequest& request)>;
/// Takes the answer, once; from any thread, at any later time: it is dropped when the caller or the server is gone by then.
using LocalAnswer = std::function<void(LocalResponse response)>;
/// The same, but the answer may come later, within kLongestWait; then it is 503.
using LaterHandler = std::function<void(const LocalRequest& request, LocalAnswer answer)>;

inline constexpr std::chrono::seconds kLongestWait{60};

/// At most 32 callers at once, on a socket 16 of one user, and 16 more whose answers come later; heads of 8 KiB, bodies of 64 KiB, 10 s from connection
/// to request; one request a connection. When more come, those whose request is not whole are dropped, and those who wait for an answer told 503: the
/// oldest first, and of the same user before others.
class LocalServer {
public:
    virtual ~LocalServer() = default;   ///< ends the thread; open requests are cut off
    /// Where it listens: the path, or HOST:PORT with the port that was chosen for 0.
    virtual const std::string& address() const = 0;
};

/// A socket at `path`, for its owner and root (0600) or whom `mode` lets in. One that a program left behind is replaced: make sure that
/// none uses it. Errors: invalid (the path is longer than a socket's may be), denied, unavailable.
Result<std::unique_ptr<LocalServer>> serve_local_socket(const std::string& path, LocalHandler handler, unsigned mode = 0600);
Result<std::unique_ptr<LocalServer>> serve_local_socket(const std::string& path, LaterHandler handler, unsigned mode = 0600);
/// HOST is 127.0.0.1 or ::1. Errors: invalid (no loopback address), conflict (the port is taken), denied.
Result<std::unique_ptr<LocalServer>> serve_loopback(const std::string& host_and_port, LocalHandler handler);
Result<std::unique_ptr<LocalServer>> serve_loopback(const std::string& host_and_port, LaterHandler handler);

/// One request to such a socket. Blocks, at most `wait`. Errors: not_found (nobody listens there), denied, timeout, unavailable.
Result<LocalResponse> call_local_socket(const std::string& path, const LocalRequest& request, std::chrono::milliseconds wait);

}  // namespace mill::platform
