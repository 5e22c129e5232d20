// agent/broker/login.h -- how a call proves who it is: basic, bearer, digest, OAuth 2 and OpenID Connect.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "agent/broker/digest.h"
#include "agent/broker/exchange.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/base/redact.h"

namespace mill::broker {

/// What `authentication` says, with the values of secrets put in: it never leaves the broker.
struct Login {
    std::string scheme;          ///< basic, bearer, digest, oauth2, oidc; empty: none
    Json values;
    std::set<std::string> used;  ///< the credentials that are in it
};

/// `authentication` as in the workflow language: {SCHEME: {…}}, {SCHEME: {use: CREDENTIAL}} or {use: CREDENTIAL}, whose members then say
/// which scheme it is. Errors: configuration, authentication, authorization (not granted).
Outcome<Login> read_login(const Json& authentication, const Grants& grants);

/// What `authentication` says cannot be done.
inline tl::unexpected<EffectError> bad_authentication(std::string what) { return refuse("configuration", 400, "Bad authentication", std::move(what)); }

struct Token {
    std::string text;
    std::optional<SteadyTime> renew_at;  ///< a while before its end
    std::string refresh;                 ///< that the token endpoint gave for the next one
};

/// What was learned to log in: tokens, token endpoints and nonces of one attempt. Ends with it. Thread: any.
class Logins {
public:
    std::optional<Token> token(const std::string& key) const;
    void keep(const std::string& key, Token token);
    void forget(const std::string& key, const std::string& text);  ///< unless another thread has renewed it
    std::optional<std::string> token_url(const std::string& authority) const;
    void keep_token_url(const std::string& authority, std::string url);
    struct Nonce {
        Challenge challenge;
        std::uint32_t count = 0;
    };
    std::optional<Nonce> next_nonce(const std::string& key);       ///< counted
    void keep_nonce(const std::string& key, Challenge challenge);
    void mask(Redactor& redactor) const;                           ///< every token

private:
    mutable std::mutex mutex_;
    std::map<std::string, Token> tokens_;
    std::map<std::string, std::string> token_urls_;
    std::map<std::string, Nonce> nonces_;
    std::set<std::string> secrets_;
};

/// Every destination, the token endpoint's too, is checked against the grants and the credential's hosts. What must not be shown is
/// added to `redactor`. Errors: as `exchange`, and authentication (no token: says where, and what the endpoint said).
Outcome<platform::HttpResponse> log_in_and_send(const Login& login, Asked asked, EffectContext& context, Redactor& redactor);

/// A token for `login` (oauth2, oidc): the one that is kept, or a new one. Blocks.
Outcome<std::string> access_token(const Login& login, EffectContext& context, Redactor& redactor);
/// The server did not take it: the next `access_token` asks for another.
void reject_token(const Login& login, const std::string& token, EffectContext& context);

}  // namespace mill::broker
