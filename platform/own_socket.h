// platform/own_socket.h -- calls to a socket of this user's own programs; one that another user put there is not spoken to.
#pragma once

#include <chrono>
#include <string>

#include "platform/base/json.h"
#include "platform/local_http.h"

namespace mill::platform {

/// call_local_socket, where the socket is this user's or root's. Blocks, at most `wait`. Errors: denied (it is somebody else's), and those of the call.
Result<LocalResponse> call_own_socket(const std::string& path, const LocalRequest& request, std::chrono::milliseconds wait);

struct Said {
    int status = 0;
    Json body;
    bool well() const { return status >= 200 && status < 300; }
    const std::string& detail() const { return body["detail"].as_string(); }
};
/// The same in JSON; without a body when `body` is null. Errors also: corrupt (the answer is no JSON).
Result<Said> ask_own_socket(const std::string& path, const std::string& method, const std::string& target, const Json& body, std::chrono::milliseconds wait);

}  // namespace mill::platform
