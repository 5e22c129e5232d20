// factory/agents/tokens.h -- API tokens: made, found by id, compared in constant time; and short-lived ones made of them.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "factory/agents/identity.h"
#include "factory/core.h"
#include "protocol/token.h"

namespace mill::factory {

/// Tokens of kind admin, user, trigger, env, and access tokens (OAuth 2) of each. Remembers records until they change. Thread: any.
class Tokens {
public:
    /// `key`: a secret of the factory that access tokens are signed with; empty: there are none.
    Tokens(Core& core, Clock& clock, std::string key = {}) : core_(core), clock_(clock), key_(std::move(key)) {}

    /// Errors: invalid (not a token), denied (unknown, expired, wrong): both are 401 to the caller; unavailable, corrupt (store).
    Result<Identity> authenticate(std::string_view text);
    /// A token that is valid for `life` and no longer than the one it is made of, with no more than `scopes`. It is not stored: it carries
    /// what it says under the factory's signature, and ends with the token it is made of. Errors: those of authenticate.
    struct Lent {
        std::string text;
        std::chrono::seconds life;
    };
    Result<Lent> lend(const Identity& owner, Scopes scopes, std::chrono::seconds life);
    /// Whether a token that was authenticated still is what it was: for answers that go on for hours. A store that does not answer ends nothing.
    bool still_valid(const std::string& id);
    /// A new token and its record, not yet stored.
    std::pair<protocol::Token, TokenRecord> make(std::string_view kind, std::string_view subject, Json scope) const;
    void forget(const std::string& id);   ///< after it was changed or ended

private:
    Result<TokenRecord> record(const std::string& id);
    Result<TokenRecord> valid_record(const std::string& id);
    Result<Identity> authenticate_lent(const protocol::Token& token);
    std::string signature(std::string_view id, std::string_view said) const;
    Core& core_;
    Clock& clock_;
    std::string key_;
    std::mutex mutex_;
    std::unordered_map<std::string, TokenRecord> cache_;
    std::uint64_t changes_ = 0;
};

Identity identity_of(const TokenRecord& record);

}  // namespace mill::factory
