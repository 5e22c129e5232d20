#include "agent/broker/login.h"

#include <algorithm>

#include <fmt/format.h>

#include "agent/broker/credentials.h"
#include "agent/broker/verdict.h"
#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/base/text.h"

namespace mill::broker {
namespace {

constexpr std::size_t kMostKept = 64;

Outcome<std::string> basic(const Json& values)
{
    const Json* user = values.find("username");
    const Json* password = values.find("password");
    if (user == nullptr || password == nullptr || !user->is_string() || !password->is_string())
        return bad_authentication("basic authentication needs the texts username and password");
    if (user->as_string().find(':') != std::string::npos) return bad_authentication("the username of basic authentication holds a ':'");
    return "Basic " + to_base64(user->as_string() + ":" + password->as_string());
}

Outcome<std::string> bearer(const Json& values)
{
    const Json* token = values.find("token");
    if (token == nullptr || !token->is_string()) return bad_authentication("bearer authentication needs the text token");
    return "Bearer " + token->as_string();
}

/// A credential says by its members what it is for.
std::string scheme_of(const Json& credential)
{
    if (credential.contains("tokenUrl") || credential.contains("authority")) return "oauth2";
    return credential.contains("token") ? "bearer" : "basic";
}

Outcome<platform::HttpResponse> send_with(const Outcome<std::string>& header, Asked& asked, EffectContext& context)
{
    if (!header) return tl::unexpected(header.error());
    if (auto set = set_header(asked.request, "Authorization", *header); !set) return tl::unexpected(set.error());
    return exchange(asked, context);
}

std::vector<std::string> challenges(const platform::HttpResponse& response)
{
    std::vector<std::string> out;
    for (const auto& [name, value] : response.headers)
        if (lower_case(name) == "www-authenticate") out.push_back(value);
    return out;
}

/// Once without, or with the nonce that is known; then with the server's nonce; once more when that was stale.
Outcome<platform::HttpResponse> send_digest(const Login& login, Asked& asked, EffectContext& context)
{
    const Json* user = login.values.find("username");
    const Json* password = login.values.find("password");
    if (user == nullptr || password == nullptr || !user->is_string() || !password->is_string()) return bad_authentication("digest authentication needs the texts username and password");
    const std::string target = asked.uri.query.empty() ? asked.uri.path : asked.uri.path + "?" + asked.uri.query;
    const std::string key = fmt::format("{}://{} {}", asked.uri.scheme, asked.uri.authority(), user->as_string());
    for (int answered = 0;; ++answered) {
        if (auto nonce = context.clients.logins().next_nonce(key)) {
            const std::string header = digest_header(nonce->challenge, user->as_string(), password->as_string(), asked.request.method, target, nonce->count, to_hex(random_bytes(16)));
            if (auto set = set_header(asked.request, "Authorization", header); !set) return tl::unexpected(set.error());
        }
        auto response = exchange(asked, context);
        if (!response || response->status != 401) return response;
        const bool proved = std::any_of(asked.request.headers.begin(), asked.request.headers.end(), [](const auto& item) { return lower_case(item.first) == "authorization"; });
        auto challenge = choose_challenge(challenges(*response));
        if (!challenge) {
            if (challenge.error().code == Errc::not_found) return response;
            return refuse("authentication", 401, "Digest not understood", challenge.error().what);
        }
        const bool stale = challenge->stale;
        context.clients.logins().keep_nonce(key, std::move(*challenge));
        if (answered >= 2 || (proved && answered > 0 && !stale)) return response;  // the name or the password is wrong
    }
}

}  // namespace

Outcome<Login> read_login(const Json& authentication, const Grants& grants)
{
    Login out;
    if (authentication.is_null()) return out;
    if (!authentication.is_object() || authentication.size() != 1) return bad_authentication("authentication has exactly one of basic, bearer, digest, oauth2, oidc, use");
    const auto& [scheme, given] = *authentication.as_object().begin();
    constexpr std::string_view kSchemes[] = {"basic", "bearer", "digest", "oauth2", "oidc", "use"};
    if (std::find(std::begin(kSchemes), std::end(kSchemes), scheme) == std::end(kSchemes))
        return bad_authentication(fmt::format("authentication '{}' is not supported: basic, bearer, digest, oauth2, oidc, use are", scheme.substr(0, 40)));
    const Json& use = scheme == "use" ? given : given["use"];
    if (use.is_null()) {
        auto filled = fill_handles(given, grants, out.used);
        if (!filled) return tl::unexpected(filled.error());
        out.scheme = scheme;
        out.values = std::move(*filled);
        return out;
    }
    if (!use.is_string()) return bad_authentication("authentication: use names a credential");
    auto found = find_credential(use.as_string(), grants);
    if (!found) return tl::unexpected(found.error());
    out.used.insert(use.as_string());
    out.scheme = scheme == "use" ? scheme_of(*found) : scheme;
    out.values = std::move(*found);
    return out;
}

Outcome<platform::HttpResponse> log_in_and_send(const Login& login, Asked asked, EffectContext& context, Redactor& redactor)
{
    if (login.scheme.empty()) return exchange(asked, context);
    if (auto allowed = may_connect(context.grants.permissions, asked.uri); !allowed) return tl::unexpected(allowed.error());
    for (const std::string& name : login.used)
        if (auto allowed = may_go_to(name, context.grants, asked.uri); !allowed) return tl::unexpected(allowed.error());
    for (const char* secret : {"password", "token", "clientSecret", "refreshToken"})
        if (login.values[secret].is_string()) redactor.add(login.values[secret].as_string());
    if (login.scheme == "basic") return send_with(basic(login.values), asked, context);
    if (login.scheme == "bearer") return send_with(bearer(login.values), asked, context);
    if (login.scheme == "digest") return send_digest(login, asked, context);
    for (bool again = false;; again = true) {
        auto token = access_token(login, context, redactor);
        if (!token) return tl::unexpected(token.error());
        auto response = send_with("Bearer " + *token, asked, context);
        if (!response || response->status != 401 || again) return response;
        reject_token(login, *token, context);  // revoked, perhaps: one new try
    }
}

std::optional<Token> Logins::token(const std::string& key) const
{
    const std::scoped_lock lock(mutex_);
    const auto found = tokens_.find(key);
    return found == tokens_.end() ? std::nullopt : std::optional(found->second);
}

void Logins::keep(const std::string& key, Token token)
{
    redact_in_log(token.text);
    if (!token.refresh.empty()) redact_in_log(token.refresh);
    const std::scoped_lock lock(mutex_);
    if (tokens_.size() >= kMostKept && !tokens_.contains(key)) tokens_.erase(tokens_.begin());
    if (secrets_.size() < 4 * kMostKept) {
        secrets_.insert(token.text);
        if (!token.refresh.empty()) secrets_.insert(token.refresh);
    }
    tokens_[key] = std::move(token);
}

void Logins::forget(const std::string& key, const std::string& text)
{
    const std::scoped_lock lock(mutex_);
    if (const auto found = tokens_.find(key); found != tokens_.end() && found->second.text == text) found->second.renew_at = SteadyTime{};
}

std::optional<std::string> Logins::token_url(const std::string& authority) const
{
    const std::scoped_lock lock(mutex_);
    const auto found = token_urls_.find(authority);
    return found == token_urls_.end() ? std::nullopt : std::optional(found->second);
}

void Logins::keep_token_url(const std::string& authority, std::string url)
{
    const std::scoped_lock lock(mutex_);
    if (token_urls_.size() < kMostKept) token_urls_[authority] = std::move(url);
}

std::optional<Logins::Nonce> Logins::next_nonce(const std::string& key)
{
    const std::scoped_lock lock(mutex_);
    const auto found = nonces_.find(key);
    if (found == nonces_.end()) return std::nullopt;
    ++found->second.count;
    return found->second;
}

void Logins::keep_nonce(const std::string& key, Challenge challenge)
{
    const std::scoped_lock lock(mutex_);
    if (nonces_.size() >= kMostKept && !nonces_.contains(key)) nonces_.erase(nonces_.begin());
    nonces_[key] = {std::move(challenge), 0};
}

void Logins::mask(Redactor& redactor) const
{
    const std::scoped_lock lock(mutex_);
    for (const std::string& secret : secrets_) redactor.add(secret);
}

}  // namespace mill::broker
