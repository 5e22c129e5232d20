#include "factory/notify/oauth.h"

#include <algorithm>

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/json.h"
#include "platform/crypto.h"

namespace mill::factory {
namespace {

/// Both places are in use: SAP's endpoints are called with the grant type in the query, RFC 6749 has it in the body.
platform::HttpRequest token_request(const OAuthClient& client)
{
    platform::HttpRequest request;
    request.method = "POST";
    request.uri = client.token_url;
    request.timeout = std::chrono::seconds(20);
    request.max_response = 256 * 1024;
    request.repeatable = true;
    if (client.form == OAuthClient::Form::bot_framework) {
        request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
        request.body = "grant_type=client_credentials&client_id=" + percent_encode(client.client_id) + "&client_secret=" + percent_encode(client.client_secret) + "&scope=" + percent_encode(client.scope);
        return request;
    }
    if (request.uri.find("grant_type=") == std::string::npos)
        request.uri += (request.uri.find('?') == std::string::npos ? "?" : "&") + std::string("grant_type=client_credentials");
    request.headers = {{"Authorization", "Basic " + to_base64(client.client_id + ":" + client.client_secret)},
                       {"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
    request.body = "grant_type=client_credentials";
    if (!client.scope.empty()) request.body += "&scope=" + percent_encode(client.scope);
    if (!client.audience.empty()) request.body += "&audience=" + percent_encode(client.audience);
    return request;
}

}  // namespace

std::shared_ptr<OAuthTokens::Entry> OAuthTokens::entry(const OAuthClient& client)
{
    // The secret is in the key, so that a changed one never gets the old one's token.
    const std::string key = platform::sha256(client.token_url + "\n" + client.client_id + "\n" + client.client_secret + "\n" + client.scope + "\n" + client.audience);
    const std::scoped_lock lock(mutex_);
    if (entries_.size() > 1000) entries_.clear();
    auto& found = entries_[key];
    if (!found) found = std::make_shared<Entry>();
    return found;
}

Result<OAuthToken> OAuthTokens::get(const OAuthClient& client, const Send& send, OAuthExchange& exchange)
{
    const auto kept = entry(client);
    const std::scoped_lock lock(kept->mutex);
    if (!kept->token.empty() && clock_.steady() < kept->renew_at) return OAuthToken{kept->token, false};
    exchange.request = token_request(client);
    const SteadyTime asked = clock_.steady();
    exchange.response = send(exchange.request);
    if (!exchange.response) return fail(fmt::format("OAuth token: {} did not answer", client.token_url), exchange.response.error());
    const platform::HttpResponse& response = *exchange.response;
    const auto answer = parse_json(response.body);
    if (response.status != 200) {
        std::string why;
        if (answer && answer->is_object()) {
            why = (*answer)["error"].as_string().substr(0, 200);
            if (const std::string& more = (*answer)["error_description"].as_string(); !more.empty()) why += (why.empty() ? "" : ": ") + more.substr(0, 500);
        }
        return fail(Errc::denied, fmt::format("OAuth token refused: {} answered {}{}{}", client.token_url, response.status, why.empty() ? "" : ", ", why));
    }
    const std::string token = answer ? (*answer)["access_token"].as_string() : std::string();
    if (token.empty() || token.find_first_of("\r\n ") != std::string::npos)
        return fail(Errc::corrupt, fmt::format("OAuth token: the answer of {} has no access_token", client.token_url));
    const Json& lifetime = (*answer)["expires_in"];
    const std::int64_t seconds = std::clamp<std::int64_t>(lifetime.is_number() ? lifetime.as_integer() : 300, 0, 7 * 86400);
    kept->token = token;
    kept->renew_at = asked + Milliseconds(seconds * 750);  // at three quarters of its life
    return OAuthToken{token, true};
}

void OAuthTokens::forget(const OAuthClient& client, const std::string& token)
{
    const auto kept = entry(client);
    const std::scoped_lock lock(kept->mutex);
    if (kept->token == token) kept->token.clear();
}

}  // namespace mill::factory
