// factory/notify/oauth.h -- OAuth 2 client credentials (RFC 6749, 4.4): tokens fetched once, kept, renewed before their end.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "platform/base/clock.h"
#include "platform/http_client.h"

namespace mill::factory {

using Send = std::function<Result<platform::HttpResponse>(const platform::HttpRequest&)>;

struct OAuthClient {
    std::string token_url, client_id, client_secret;
    std::string scope{}, audience{};   ///< asked for when not empty
    enum class Form { rfc, bot_framework } form = Form::rfc;   ///< who asks stands in the header, or in the body as Microsoft's documentation has it
};

/// What the token endpoint was asked and said, for the delivery's record.
struct OAuthExchange {
    platform::HttpRequest request;
    Result<platform::HttpResponse> response = fail(Errc::internal, "not sent");
};

struct OAuthToken {
    std::string text;
    bool fresh = false;   ///< fetched by this call
};

/// Thread: any; one fetch at a time for each client.
class OAuthTokens {
public:
    explicit OAuthTokens(const Clock& clock) : clock_(clock) {}
    /// `exchange` is filled when the endpoint was called. Errors: denied (it refused), unavailable, timeout, corrupt (its answer).
    Result<OAuthToken> get(const OAuthClient& client, const Send& send, OAuthExchange& exchange);
    /// After the token was refused where it was used.
    void forget(const OAuthClient& client, const std::string& token);

private:
    struct Entry {
        std::mutex mutex;
        std::string token;
        SteadyTime renew_at;
    };
    std::shared_ptr<Entry> entry(const OAuthClient& client);
    const Clock& clock_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Entry>> entries_;
};

}  // namespace mill::factory
