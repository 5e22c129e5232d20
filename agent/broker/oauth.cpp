// Tokens of OAuth 2 (RFC 6749) and OpenID Connect discovery: asked for here, used here, shown nowhere.
#include <algorithm>

#include <fmt/format.h>

#include "agent/broker/credentials.h"
#include "agent/broker/login.h"
#include "agent/broker/verdict.h"
#include "platform/base/encode.h"
#include "platform/base/text.h"

namespace mill::broker {
namespace {

constexpr std::size_t kMaxAnswer = 256 * 1024;
constexpr std::chrono::seconds kMargin{30};  // before its end, at most a fifth of its life

std::string joined(const Json& list)
{
    if (list.is_string()) return list.as_string();
    std::string out;
    for (const Json& item : list.as_array()) out += (out.empty() ? "" : " ") + item.as_string();
    return out;
}

/// The language's members, or those that a credential has instead.
struct Settings {
    std::string grant, client, secret, client_authentication, username, password, refresh, scope;
    std::vector<std::string> audiences;
    bool json = false;
};

Outcome<Settings> read_settings(const Json& values)
{
    Settings out;
    const auto text = [&](const Json& first, const Json& second) { return first.is_string() ? first.as_string() : second.as_string(); };
    const Json& client = values["client"];
    out.client = text(client["id"], values["clientId"]);
    out.secret = text(client["secret"], values["clientSecret"]);
    out.client_authentication = client["authentication"].is_string() ? client["authentication"].as_string() : out.secret.empty() ? "none" : "client_secret_post";
    out.username = values["username"].as_string();
    out.password = values["password"].as_string();
    out.refresh = text(values["subject"]["token"], values["refreshToken"]);
    out.scope = joined(values["scopes"]);
    if (values["audiences"].is_string()) out.audiences = {values["audiences"].as_string()};
    for (const Json& audience : values["audiences"].as_array()) out.audiences.push_back(audience.as_string());
    out.grant = values["grant"].is_string() ? values["grant"].as_string() : !out.refresh.empty() ? "refresh_token" : !out.username.empty() ? "password" : "client_credentials";
    const std::string& encoding = values["request"]["encoding"].as_string();
    out.json = encoding.starts_with("application/json");
    if (!encoding.empty() && !out.json && !encoding.starts_with("application/x-www-form-urlencoded"))
        return bad_authentication(fmt::format("the request encoding '{}' is not supported: application/x-www-form-urlencoded and application/json are", encoding.substr(0, 60)));
    if (out.grant != "client_credentials" && out.grant != "password" && out.grant != "refresh_token")
        return bad_authentication(fmt::format("the grant '{}' is not supported: client_credentials, password and refresh_token are", out.grant.substr(0, 60)));
    if (out.client_authentication != "client_secret_basic" && out.client_authentication != "client_secret_post" && out.client_authentication != "none")
        return bad_authentication(fmt::format("the client authentication '{}' is not supported: client_secret_basic, client_secret_post and none are", out.client_authentication.substr(0, 60)));
    if (out.grant == "password" && (out.username.empty() || out.password.empty())) return bad_authentication("the grant password needs the texts username and password");
    if (out.grant == "refresh_token" && out.refresh.empty()) return bad_authentication("the grant refresh_token needs the token in subject.token");
    if (out.client.empty() && out.grant == "client_credentials") return bad_authentication("the grant client_credentials needs client.id");
    return out;
}

std::string without_slash(std::string text)
{
    while (text.ends_with("/")) text.pop_back();
    return text;
}

/// A request to where the secrets of `login` go: the grants and the hosts of each credential must allow it.
Outcome<platform::HttpResponse> ask(const Login& login, Asked asked, EffectContext& context)
{
    auto uri = platform::parse_uri(asked.request.uri);
    if (!uri) return bad_authentication(fmt::format("'{}' is no address of a token endpoint: {}", asked.request.uri.substr(0, 200), uri.error().what));
    asked.uri = std::move(*uri);
    asked.request.max_response = kMaxAnswer;
    asked.request.headers.emplace_back("Accept", "application/json");
    if (auto allowed = may_connect(context.grants.permissions, asked.uri); !allowed) return tl::unexpected(allowed.error());
    for (const std::string& name : login.used)
        if (auto allowed = may_go_to(name, context.grants, asked.uri); !allowed) return tl::unexpected(allowed.error());
    auto response = exchange(asked, context);
    if (!response) response.error().detail = fmt::format("no token from {}: {}", asked.request.uri, response.error().detail);
    return response;
}

tl::unexpected<EffectError> no_token(const std::string& url, const std::string& what) { return refuse("authentication", 401, "No token", fmt::format("{} {}", url, what)); }

constexpr std::string_view kDiscovery = "/.well-known/openid-configuration";  // OpenID Connect Discovery 1.0, 4

/// Of the discovery document. Its issuer is the authority, or one that `issuers` names.
Outcome<std::string> discovered(const Login& login, EffectContext& context)
{
    std::string authority = without_slash(login.values["authority"].as_string());
    if (authority.ends_with(kDiscovery)) authority = without_slash(authority.substr(0, authority.size() - kDiscovery.size()));  // some write the whole address
    if (auto known = context.clients.logins().token_url(authority)) return std::move(*known);
    Asked asked;
    asked.request.uri = fmt::format("{}{}", authority, kDiscovery);
    const std::string url = asked.request.uri;
    auto response = ask(login, std::move(asked), context);
    if (!response) return tl::unexpected(response.error());
    if (response->status != 200) return no_token(url, fmt::format("answered {}", response->status));
    const auto document = parse_json(response->body, {.bytes = kMaxAnswer, .depth = 32});
    if (!document || !(*document)["token_endpoint"].is_string()) return no_token(url, "is no discovery document with a token_endpoint");
    const std::string issuer = (*document)["issuer"].as_string();
    const auto& issuers = login.values["issuers"].as_array();
    const bool expected = without_slash(issuer) == authority || std::any_of(issuers.begin(), issuers.end(), [&](const Json& each) { return each == Json(issuer); });
    if (!expected) return no_token(url, fmt::format("speaks for the issuer '{}', not for its authority", issuer.substr(0, 200)));
    context.clients.logins().keep_token_url(authority, (*document)["token_endpoint"].as_string());
    return (*document)["token_endpoint"].as_string();
}

Outcome<std::string> token_url(const Login& login, EffectContext& context)
{
    const Json& values = login.values;
    if (values["tokenUrl"].is_string()) return values["tokenUrl"].as_string();
    if (!values["authority"].is_string()) return bad_authentication(fmt::format("{} needs the text authority", login.scheme));
    if (login.scheme == "oidc") return discovered(login, context);
    std::string path = values["endpoints"]["token"].is_string() ? values["endpoints"]["token"].as_string() : "/oauth2/token";
    if (path.starts_with("https://") || path.starts_with("http://")) return path;
    while (path.starts_with("/")) path.erase(0, 1);
    return without_slash(values["authority"].as_string()) + "/" + path;
}

std::string form(const std::vector<std::pair<std::string, std::string>>& fields)
{
    std::string out;
    for (const auto& [name, value] : fields) out += (out.empty() ? "" : "&") + percent_encode(name) + "=" + percent_encode(value);
    return out;
}

std::string json(const std::vector<std::pair<std::string, std::string>>& fields)
{
    Json out = Json::object();
    for (const auto& [name, value] : fields) {
        if (const Json* first = out.find(name); first == nullptr) out.set(name, value);
        else if (first->is_array()) out.set(name, Json(*first).push(value));
        else out.set(name, Json::array({*first, Json(value)}));
    }
    return dump_json(out);
}

Asked token_request(const Settings& settings, const std::string& url)
{
    std::vector<std::pair<std::string, std::string>> fields{{"grant_type", settings.grant}};
    if (settings.grant == "password") fields.insert(fields.end(), {{"username", settings.username}, {"password", settings.password}});
    if (settings.grant == "refresh_token") fields.emplace_back("refresh_token", settings.refresh);
    if (!settings.scope.empty()) fields.emplace_back("scope", settings.scope);
    for (const std::string& audience : settings.audiences) fields.emplace_back("audience", audience);
    Asked asked;
    asked.request.method = "POST";
    asked.request.uri = url;
    if (settings.client_authentication == "client_secret_basic") {
        asked.request.headers.emplace_back("Authorization", "Basic " + to_base64(percent_encode(settings.client) + ":" + percent_encode(settings.secret)));
    } else {
        if (!settings.client.empty()) fields.emplace_back("client_id", settings.client);
        if (settings.client_authentication == "client_secret_post") fields.emplace_back("client_secret", settings.secret);
    }
    asked.request.headers.emplace_back("Content-Type", settings.json ? "application/json" : "application/x-www-form-urlencoded");
    asked.request.body = settings.json ? json(fields) : form(fields);
    return asked;
}

std::string key_of(const Login& login) { return login.scheme + " " + dump_json(login.values); }

}  // namespace

Outcome<std::string> access_token(const Login& login, EffectContext& context, Redactor& redactor)
{
    Logins& logins = context.clients.logins();
    const std::string key = key_of(login);
    const std::optional<Token> kept = logins.token(key);
    if (kept && (!kept->renew_at || *kept->renew_at > system_clock().steady())) return kept->text;
    auto settings = read_settings(login.values);
    if (!settings) return tl::unexpected(settings.error());
    if (kept && !kept->refresh.empty() && settings->grant == "refresh_token") settings->refresh = kept->refresh;  // it may be good for one use only
    for (const std::string* secret : {&settings->secret, &settings->password, &settings->refresh}) redactor.add(*secret);
    const auto url = token_url(login, context);
    if (!url) return tl::unexpected(url.error());
    const SteadyTime asked_at = system_clock().steady();
    const auto response = ask(login, token_request(*settings, *url), context);
    if (!response) return tl::unexpected(response.error());
    const auto answer = parse_json(response->body, {.bytes = kMaxAnswer, .depth = 32});
    if (response->status < 200 || response->status > 299) {
        std::string why = fmt::format("answered {}", response->status);
        for (const char* member : {"error", "error_description"})
            if (answer && (*answer)[member].is_string()) why += ": " + (*answer)[member].as_string().substr(0, 300);
        return no_token(*url, why);
    }
    if (!answer || !(*answer)["access_token"].is_string() || (*answer)["access_token"].as_string().empty()) return no_token(*url, "answered without an access_token");
    if (const Json& type = (*answer)["token_type"]; type.is_string() && lower_case(type.as_string()) != "bearer")
        return no_token(*url, fmt::format("gave a token of the type '{}': only Bearer is known", type.as_string().substr(0, 40)));
    Token token;
    token.text = (*answer)["access_token"].as_string();
    token.refresh = (*answer)["refresh_token"].as_string();
    if (const Json& life = (*answer)["expires_in"]; life.is_number() && life.as_number() >= 0 && life.as_number() < 1e9) {
        const auto whole = Milliseconds(static_cast<std::int64_t>(life.as_number() * 1000));
        token.renew_at = asked_at + whole - std::min<Milliseconds>(kMargin, whole / 5);
    }
    redactor.add(token.text);
    redactor.add(token.refresh);
    logins.keep(key, token);
    return token.text;
}

void reject_token(const Login& login, const std::string& token, EffectContext& context) { context.clients.logins().forget(key_of(login), token); }

}  // namespace mill::broker
