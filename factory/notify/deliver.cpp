#include "factory/notify/deliver.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include <fmt/format.h>

#include "factory/notify/exchange.h"
#include "platform/client_certificate.h"
#include "platform/base/encode.h"
#include "platform/crypto.h"

namespace mill::factory {
namespace {

bool is_final_status(int status)
{
    return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
}

/// {error, error_description}, {message} or {detail} of an answer, for people who read the list and not the body.
std::string words_of(const platform::HttpResponse& response)
{
    const auto answer = parse_json(response.body, {.bytes = 64 * 1024, .depth = 16});
    if (!answer || !answer->is_object()) return {};
    for (const char* member : {"detail", "message", "error_description", "error"})
        if (const std::string& text = (*answer)[member].as_string(); !text.empty()) return ": " + text.substr(0, 300);
    return {};
}

}  // namespace

void Deliverer::send(Exchange& exchange, platform::HttpRequest request)
{
    request.timeout = options_.timeout;
    request.max_response = 1024 * 1024;
    exchange.record(request);
    exchange.response = egress_.send(request, exchange.stop, exchange.certificate ? &*exchange.certificate : nullptr);
    exchange.record(exchange.response);
    if (!exchange.response) exchange.outcome.attempt.error += about_certificate(exchange.certificate, exchange.response.error().what);
}

/// The certificate that was shown, when it may have been the reason; that one is wanted, when none was.
std::string Deliverer::about_certificate(const std::optional<ClientCertificate>& shown, std::string_view why)
{
    if (shown) return fmt::format("; shown was the client certificate of credential '{}' ({})", shown->credential, shown->words);
    return why.find("asked for a client certificate") == std::string_view::npos ? "" : " (`authentication: certificate`)";
}

/// The client certificate that the notifier names for `uri`, to be shown by send().
Status Deliverer::take_certificate(Exchange& exchange, const platform::Uri& uri)
{
    const Json& rendered = exchange.request;
    const std::string& name = rendered["authentication"].as_string() == "certificate" ? rendered["credentials"].as_string() : rendered["certificate"].as_string();
    if (name.empty()) return {};
    const auto credential = use(exchange, name, uri);
    if (!credential) return fail(credential.error());
    if (credential->kind != "certificate") return fail(Errc::invalid, fmt::format("credential '{}' is of kind {}, certificate is needed", name, credential->kind));
    if (uri.scheme != "https") return fail(Errc::invalid, fmt::format("credential '{}' is a client certificate, which is shown over https only", name));
    const auto value = [&](const char* member) -> const std::string& { return credential->values[member].as_string(); };
    const auto facts = platform::read_client_certificate(value("certificate"), value("key"), value("authority"));
    if (!facts) return fail(fmt::format("credential '{}'", name), facts.error());
    if (facts->until <= clock_.now()) return fail(Errc::denied, fmt::format("the client certificate of credential '{}' ({}) has expired on {}", name, facts->subject, format_time(facts->until)));
    exchange.certificate = ClientCertificate{name, fmt::format("{}, valid until {}", facts->subject, format_time(facts->until).substr(0, 10)), value("certificate"), value("key"), value("authority")};
    return {};
}

/// A credential for a request to `uri`; from here on no record shows its values.
Result<Credential> Deliverer::use(Exchange& exchange, const std::string& name, const platform::Uri& uri)
{
    auto credential = credentials_(name);
    if (!credential) return credential;
    if (auto bound = admit(exchange, *credential, uri); !bound) return fail(std::move(bound.error()));
    return credential;
}

Status Deliverer::admit(Exchange& exchange, const Credential& credential, const platform::Uri& uri)
{
    for (const auto& [member, value] : credential.values.as_object())
        if (is_secret_member(credential.kind, member)) exchange.redactor.add(value.as_string());
    auto may = may_go_to(credential, uri, exchange.request["environment"].as_string());
    if (may && used_) used_(credential.name, exchange.id);
    return may;
}

Status Deliverer::sign(Exchange& exchange, const platform::Uri& uri, platform::HttpRequest& request)
{
    const std::int64_t timestamp = clock_.now().microseconds / 1'000'000;
    request.headers.emplace_back("webhook-id", exchange.id);
    request.headers.emplace_back("webhook-timestamp", std::to_string(timestamp));
    const std::string& name = exchange.request["secret"].as_string();
    if (name.empty() && exchange.request["signed"].as_bool()) return fail(Errc::invalid, "made by an earlier version, which did not say what signs it");
    if (name.empty()) return {};
    const auto credential = use(exchange, name, uri);
    if (!credential) return fail("signature", credential.error());
    const std::string& secret = credential->values["secret"].as_string();
    if (credential->kind != "hmac" || secret.empty()) return fail(Errc::invalid, fmt::format("credential '{}' is of kind {}, hmac is needed to sign", name, credential->kind));
    request.headers.emplace_back("webhook-signature", webhook_signature(secret, exchange.id, timestamp, request.body));
    return {};
}

Status Deliverer::authenticate(Exchange& exchange, const platform::Uri& uri, platform::HttpRequest& request)
{
    const std::string& how = exchange.request["authentication"].as_string();
    if (how != "basic" && how != "bearer" && how != "header") return {};
    const auto credential = use(exchange, exchange.request["credentials"].as_string(), uri);
    if (!credential) return fail(credential.error());
    const auto value = [&](std::string_view member) -> const std::string& { return credential->values[member].as_string(); };
    using Members = std::vector<std::string_view>;
    for (const std::string_view needed : how == "bearer" ? Members{"token"} : how == "basic" ? Members{"password"} : Members{"name", "value"})
        if (value(needed).empty()) return fail(Errc::invalid, fmt::format("credential '{}' has no member '{}'", credential->name, needed));
    if (how == "header") {
        request.headers.emplace_back(value("name"), value("value"));
    } else if (how == "bearer") {
        request.headers.emplace_back("Authorization", "Bearer " + value("token"));
    } else {
        const std::string pair = to_base64(value("username") + ":" + value("password"));
        exchange.redactor.add(pair);
        request.headers.emplace_back("Authorization", "Basic " + pair);
    }
    return {};
}

/// Sends with a token of the credential's client. A kept token may have been revoked early: then a fresh one is tried at once.
void Deliverer::with_token(Exchange& exchange, const Credential& credential, const std::function<void(const std::string&)>& send_with, OAuthClient::Form form)
{
    const auto value = [&](const char* member) -> const std::string& { return credential.values[member].as_string(); };
    OAuthClient client{value("tokenUrl"), value("clientId"), value("clientSecret"), value("scope"), value("audience"), form};
    if (form == OAuthClient::Form::bot_framework && client.scope.empty()) client.scope = "https://api.botframework.com/.default";
    exchange.redactor.add(percent_encode(client.client_secret));
    exchange.redactor.add(to_base64(client.client_id + ":" + client.client_secret));
    for (int round = 0; round < 2; ++round) {
        OAuthExchange asked;
        const auto token = tokens_.get(client, [&](const platform::HttpRequest& request) { return egress_.send(request, exchange.stop); }, asked);
        if (!token) {
            // The record shows the token endpoint's exchange: it is the one that failed.
            if (!asked.request.uri.empty()) {
                exchange.record(asked.request);
                exchange.record(asked.response);
                if (asked.response) exchange.outcome.retry_after = read_retry_after(asked.response->header("retry-after"), clock_.now());
            }
            return exchange.refuse(DeliveryOutcome::Verdict::retry, fmt::format("{}; asked with credential '{}'{}", token.error().what, credential.name, age_of(credential)));
        }
        exchange.redactor.add(token->text);
        send_with(token->text);
        if (!exchange.response || exchange.response->status != 401) return;
        tokens_.forget(client, token->text);
        if (token->fresh) return;
    }
}

/// ", whose values are of 2026-03-01, 271 days old": a secret that has aged out looks like a wrong one.
std::string Deliverer::age_of(const Credential& credential) const
{
    if (credential.changed.microseconds == 0) return {};
    const auto days = (clock_.now() - credential.changed).count() / 86'400'000'000;
    return fmt::format(", whose values are of {}, {} old", format_time(credential.changed).substr(0, 10), days == 0 ? "less than a day" : days == 1 ? "1 day" : fmt::format("{} days", days));
}

void Deliverer::send_api(Exchange& exchange)
{
    const Json& rendered = exchange.request;
    platform::HttpRequest request;
    request.method = rendered["method"].as_string();
    request.uri = rendered["url"].as_string();
    request.body = rendered["body"].as_string();
    for (const auto& [name, value] : rendered["headers"].as_object()) request.headers.emplace_back(name, value.as_string());
    request.headers.emplace_back("Idempotency-Key", exchange.id);
    const auto uri = platform::parse_uri(request.uri);
    if (!uri) return exchange.refuse(DeliveryOutcome::Verdict::give_up, uri.error().what);
    // Somebody can mend a credential: then the delivery goes out at its next try.
    if (const auto signed_by = sign(exchange, *uri, request); !signed_by) return exchange.refuse(DeliveryOutcome::Verdict::retry, signed_by.error().what);
    if (const auto shown = take_certificate(exchange, *uri); !shown) return exchange.refuse(DeliveryOutcome::Verdict::retry, shown.error().what);
    if (rendered["authentication"].as_string() == "oauth") {
        const auto credential = use(exchange, rendered["credentials"].as_string(), *uri);
        if (!credential) return exchange.refuse(DeliveryOutcome::Verdict::retry, credential.error().what);
        if (credential->kind != "oauth")
            return exchange.refuse(DeliveryOutcome::Verdict::retry, fmt::format("credential '{}' is of kind {}, oauth is needed", credential->name, credential->kind));
        return with_token(exchange, *credential, [&](const std::string& token) {
            platform::HttpRequest one = request;
            one.headers.emplace_back("Authorization", "Bearer " + token);
            send(exchange, std::move(one));
        });
    }
    if (const auto proven = authenticate(exchange, *uri, request); !proven) return exchange.refuse(DeliveryOutcome::Verdict::retry, proven.error().what);
    send(exchange, std::move(request));
}

void Deliverer::send_sap_cai(Exchange& exchange)
{
    const auto uri = platform::parse_uri(exchange.request["url"].as_string());
    if (!uri) return exchange.refuse(DeliveryOutcome::Verdict::give_up, uri.error().what);
    const auto credential = use(exchange, exchange.request["credentials"].as_string(), *uri);
    if (!credential) return exchange.refuse(DeliveryOutcome::Verdict::retry, credential.error().what);
    const auto value = [&](const char* member) -> const std::string& { return credential->values[member].as_string(); };
    if (credential->kind != "sap-cai")
        return exchange.refuse(DeliveryOutcome::Verdict::retry, fmt::format("credential '{}' is of kind {}, sap-cai is needed", credential->name, credential->kind));
    with_token(exchange, *credential, [&](const std::string& token) {
        platform::HttpRequest request;
        request.method = exchange.request["method"].as_string();
        request.uri = exchange.request["url"].as_string();
        request.body = exchange.request["body"].as_string();
        request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}, {"Authorization", "Bearer " + token},
                           {"X-Token", "Token " + value("botToken")}, {"Idempotency-Key", exchange.id}};
        send(exchange, std::move(request));
    });
}

DeliveryOutcome Deliverer::attempt(const std::string& id, const Json& request, std::stop_token stop, const Json& kept)
{
    DeliveryOutcome outcome;
    outcome.id = id;
    const SteadyTime begin = clock_.steady();
    Exchange exchange{.id = id, .request = request, .outcome = outcome, .redactor = {}, .stop = stop, .kept = kept};
    const std::string& kind = request["kind"].as_string();
    if (kind == "api") send_api(exchange);
    else if (kind == "sap-cai") send_sap_cai(exchange);
    else if (kind == "chat") send_chat(exchange);
    else if (kind == "mail") send_mail(exchange);
    else exchange.refuse(DeliveryOutcome::Verdict::give_up, fmt::format("nothing here can send a request of kind '{}'", kind));
    outcome.attempt.took = std::chrono::duration_cast<Milliseconds>(clock_.steady() - begin);

    if (kind == "mail" || exchange.judged) return outcome;   // its answers mean something else
    if (exchange.response && outcome.attempt.error.empty()) {
        const platform::HttpResponse& response = *exchange.response;
        if (response.status >= 200 && response.status < 300) {
            outcome.verdict = DeliveryOutcome::Verdict::delivered;
            return outcome;
        }
        const std::string& url = request["url"].as_string();
        const std::string who = url.empty() ? fmt::format("the address in credential '{}'", request["credentials"].as_string()) : url;
        outcome.attempt.error = exchange.redactor.apply(fmt::format("{} answered {}{}", who, response.status, words_of(response)));
        if (response.status >= 300 && response.status < 400) outcome.attempt.error += " (redirects are not followed)";
        outcome.verdict = is_final_status(response.status) ? DeliveryOutcome::Verdict::give_up : DeliveryOutcome::Verdict::retry;
        outcome.retry_after = read_retry_after(response.header("retry-after"), clock_.now());
    } else if (!exchange.response && exchange.response.error().code == Errc::invalid && outcome.attempt.request.is_object() && outcome.attempt.status == 0 && kind == "api") {
        outcome.verdict = DeliveryOutcome::Verdict::give_up;
    }
    if (outcome.verdict != DeliveryOutcome::Verdict::retry) outcome.retry_after.reset();
    return outcome;
}

std::optional<Milliseconds> read_retry_after(std::string_view text, WallTime now)
{
    if (text.empty()) return std::nullopt;
    constexpr std::int64_t kMost = 3600;
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error == std::errc() && end == text.data() + text.size()) return Milliseconds(std::clamp<std::int64_t>(seconds, 0, kMost) * 1000);
    if (error == std::errc::result_out_of_range) return Milliseconds(kMost * 1000);
    std::tm parts{};
    if (const char* rest = ::strptime(std::string(text).c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts); rest == nullptr) return std::nullopt;
    seconds = static_cast<std::int64_t>(::timegm(&parts)) - now.microseconds / 1'000'000;
    return Milliseconds(std::clamp<std::int64_t>(seconds, 0, kMost) * 1000);
}

std::string webhook_signature(std::string_view secret, std::string_view id, std::int64_t timestamp, std::string_view body)
{
    std::string key(secret);
    if (secret.starts_with("whsec_"))
        if (auto bytes = from_base64(secret.substr(6))) key = std::move(*bytes);
    return "v1," + to_base64(platform::hmac_sha256(key, fmt::format("{}.{}.{}", id, timestamp, body)));
}

}  // namespace mill::factory
