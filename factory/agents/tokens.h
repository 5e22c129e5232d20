// factory/agents/tokens.h -- API tokens: made, found by id, compared in constant time.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "factory/agents/identity.h"
#include "factory/core.h"
#include "protocol/token.h"

namespace mill::factory {

/// Tokens of kind admin, user, trigger, env. Remembers records until they change. Thread: any.
class Tokens {
public:
    Tokens(Core& core, Clock& clock) : core_(core), clock_(clock) {}

    /// Errors: invalid (not a token), denied (unknown, expired, wrong): both are 401 to the caller; unavailable, corrupt (store).
    Result<Identity> authenticate(std::string_view text);
    /// Whether a token that was authenticated still is what it was: for answers that go on for hours. A store that does not answer ends nothing.
    bool still_valid(const std::string& id);
    /// A new token and its record, not yet stored.
    std::pair<protocol::Token, TokenRecord> make(std::string_view kind, std::string_view subject, Json scope) const;
    void forget(const std::string& id);   ///< after it was ended

private:
    Result<TokenRecord> record(const std::string& id);
    Core& core_;
    Clock& clock_;
    std::mutex mutex_;
    std::unordered_map<std::string, TokenRecord> cache_;
    std::uint64_t changes_ = 0;
};

Identity identity_of(const TokenRecord& record);

}  // namespace mill::factory
