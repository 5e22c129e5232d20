// factory/api/limits.h -- how often tokens and addresses may call, and how often they may fail to say who they are. Private to factory/api.
#pragma once

#include "factory/agents/limiter.h"

namespace mill::factory {

/// Thread: any.
class CallLimits {
public:
    CallLimits(const Rates& rates, Clock& clock) : rates_(rates), clock_(clock) {}

    // Each takes one, and says how long to wait when there is none.
    std::optional<Milliseconds> address(std::string_view remote, bool agents_side);
    std::optional<Milliseconds> token(const std::string& id, std::string_view remote);
    /// A file that an agent reports for a trigger.
    std::optional<Milliseconds> file(const std::string& agent, const std::string& trigger);
    /// A call without a valid token. Whoever has one is never locked out by a neighbour behind the same proxy.
    std::optional<Milliseconds> failure(std::string_view remote);

private:
    Rate for_remote(Rate rate, std::string_view remote) const;
    Rates rates_;
    Clock& clock_;
    Limiter addresses_, agents_, tokens_, failures_, files_;
};

bool is_loopback(std::string_view remote);

}  // namespace mill::factory
