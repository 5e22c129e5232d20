// factory/agents/sessions.h -- agents' access tokens: from a signed assertion (RFC 7523) to a short-lived token in memory.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "factory/core.h"

namespace mill::factory {

inline constexpr std::chrono::seconds kSessionLife{3600};

/// What an agent's assertion says, its signature not yet checked.
struct Assertion {
    std::string agent, jti;
    std::uint64_t counter = 0;
    WallTime made;   ///< at the earliest: it ends at most a minute later
};

/// Errors: invalid (form, times, audience: says which), denied (signature).
Result<Assertion> verify_assertion(std::string_view jwt, std::string_view public_key, const std::set<std::string>& audiences, WallTime now);
/// The agent that an assertion says it is from. Errors: invalid.
Result<std::string> issuer_of(std::string_view jwt);

/// Tokens of kind `agent`. They live in memory: after a restart agents get 401 and ask for another. Thread: any.
class AgentSessions {
public:
    AgentSessions(std::string key, Clock& clock) : key_(std::move(key)), clock_(clock) {}

    struct Grant {
        std::string token;
        std::int64_t expires_in = 0;   ///< seconds
    };
    /// The token of this (agent, jti, time): the same each time, so that the store need not keep it.
    Grant grant(const std::string& agent, const std::string& jti, WallTime issued);
    /// The agent's id. Errors: denied (unknown or over).
    Result<std::string> authenticate(std::string_view token);
    void end(const std::string& agent);   ///< all of an agent

private:
    struct Session {
        std::string agent, sha256;
        WallTime expires;
    };
    std::string key_;
    Clock& clock_;
    std::mutex mutex_;
    std::unordered_map<std::string, Session> by_id_;
    std::unordered_map<std::string, std::vector<std::string>> of_agent_;
};

}  // namespace mill::factory
