// factory/notify/deliver.h -- one attempt of one delivery: what is sent, what came back, and what that means.
#pragma once

#include "factory/core_values.h"
#include "factory/notify/credential.h"
#include "factory/notify/egress.h"
#include "factory/notify/oauth.h"

namespace mill::factory {

inline constexpr std::size_t kRecordedBody = 4096;   ///< bytes of a response, and of a request's body, that a record keeps

/// Sends by kind of request (factory/notify/render.h). Thread: any; a call blocks for up to two requests' timeouts.
class Deliverer {
public:
    struct Options {
        Milliseconds timeout{30'000};
    };
    Deliverer(Egress& egress, CredentialSource credentials, const Clock& clock, Options options)
        : egress_(egress), credentials_(std::move(credentials)), clock_(clock), tokens_(clock), options_(options)
    {
    }
    /// Told of each credential that goes out, with the delivery. Set before the first attempt.
    void on_use(std::function<void(const std::string& credential, const std::string& delivery)> used) { used_ = std::move(used); }
    /// Errors never: they are in the outcome. When it is tried again is Core's to say; the outcome has what the receiver asked for.
    /// `kept`: what the last answer about the same job named (DeliveryOutcome::kept).
    DeliveryOutcome attempt(const std::string& id, const Json& request, std::stop_token stop = {}, const Json& kept = {});

private:
    struct Exchange;
    Result<Credential> use(Exchange& exchange, const std::string& name, const platform::Uri& uri);
    Status sign(Exchange& exchange, const platform::Uri& uri, platform::HttpRequest& request);
    Status authenticate(Exchange& exchange, const platform::Uri& uri, platform::HttpRequest& request);
    void send_api(Exchange& exchange);
    void send_sap_cai(Exchange& exchange);
    void send_chat(Exchange& exchange);   ///< deliver_chat.cpp
    void send_slack(Exchange& exchange, platform::HttpRequest request);
    void send_teams_bot(Exchange& exchange);
    Status take_certificate(Exchange& exchange, const platform::Uri& uri);
    static std::string about_certificate(const std::optional<ClientCertificate>& shown, std::string_view why);
    void send_mail(Exchange& exchange);   ///< mail.cpp
    void with_token(Exchange& exchange, const Credential& credential, const std::function<void(const std::string&)>& send_with,
                    OAuthClient::Form form = OAuthClient::Form::rfc);
    Status admit(Exchange& exchange, const Credential& credential, const platform::Uri& uri);
    std::string age_of(const Credential& credential) const;
    void send(Exchange& exchange, platform::HttpRequest request);

    Egress& egress_;
    CredentialSource credentials_;
    const Clock& clock_;
    OAuthTokens tokens_;
    Options options_;
    std::function<void(const std::string&, const std::string&)> used_;
};

/// Seconds or a date (RFC 9110). Nothing when it is neither; capped at an hour.
std::optional<Milliseconds> read_retry_after(std::string_view text, WallTime now);
/// Standard Webhooks: "v1,BASE64" over "ID.TIMESTAMP.BODY". A secret "whsec_BASE64" is its bytes, any other its text.
std::string webhook_signature(std::string_view secret, std::string_view id, std::int64_t timestamp, std::string_view body);

}  // namespace mill::factory
