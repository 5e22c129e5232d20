// agent/companion/person_client.h -- the way to DIR/person, the agent's socket for the person beside it.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>

#include "platform/base/json.h"
#include "platform/own_socket.h"

namespace mill::companion {

using platform::Said;

/// Thread: any.
class PersonClient {
public:
    explicit PersonClient(std::string path) : path_(std::move(path)) {}

    /// Blocks, at most `wait`. Errors: denied (the socket is somebody else's: not this user's and not root's), not_found (no agent is there), timeout,
    /// unavailable.
    Result<platform::LocalResponse> forward(const platform::LocalRequest& request, std::chrono::milliseconds wait) const;
    /// Errors also: corrupt (no JSON).
    Result<Said> ask(const std::string& method, const std::string& target, const Json& body, std::chrono::milliseconds wait) const;
    const std::string& path() const { return path_; }

private:
    const std::string path_;
};

/// What is known of the agent: all that the person may see, or why there is nothing.
struct News {
    Json person;        ///< null: the agent is away
    std::string away;
};

/// Tells `news` of each change, until stopped: one parked request, and back-off while the agent is away.
/// Blocks: a stop is heard when the parked request ends, within half a minute.
void watch_person(const PersonClient& client, const std::function<void(News)>& news, std::stop_token stop);

}  // namespace mill::companion
