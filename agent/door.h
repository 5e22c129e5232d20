// agent/door.h -- the machine's agent lets people of this machine join with agents of their own: it says to the factory who they are.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/local_http.h"

namespace mill::agent {

inline constexpr std::string_view kDoorSocket = "/run/millwright/agent/sessions";

/// GET /v1/factories → [{url, caFile?}]; POST /v1/sessions {factory, publicKey, facts} → what enrolment gives. Errors: {"detail"}.
class Door {
public:
    struct Factory {
        std::string url, ca_file;
        /// Asks the factory; at most a few seconds. The answer, or what kept it from that with the factory's status (0: none).
        std::function<Result<Json>(const Json& request, int& status)> vouch;
    };
    Door(std::vector<Factory> factories, const Clock& clock) : factories_(std::move(factories)), clock_(clock) {}

    /// `request.user`: as the kernel says. Thread: the server's one, which waits for the factory: other callers wait behind.
    platform::LocalResponse answer(const platform::LocalRequest& request);

private:
    bool too_often(const std::string& user);

    std::vector<Factory> factories_;
    const Clock& clock_;
    std::map<std::string, std::deque<SteadyTime>> asked_;   ///< by user; "": all
};

/// Opens it at `path` for all local users, unless another agent serves there. Errors: conflict, denied, invalid, unavailable.
Result<std::unique_ptr<platform::LocalServer>> open_door(const std::string& path, std::shared_ptr<Door> door);

}  // namespace mill::agent
