// OAuth 2 client credentials (RFC 6749, 4.4): a token of ours is swapped for one that lives for an hour and may do less.
#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/http/form.h"
#include "platform/base/encode.h"
#include "platform/base/text.h"
#include "protocol/problem.h"

namespace mill::factory::handler {
namespace {

constexpr std::chrono::seconds kAccessLife{3600};
constexpr int kTooMany = 429;

struct Client {
    std::string id, secret;
};

/// RFC 6749, 2.3.1: id and secret are form-encoded before they are put together. Nothing when the header is no Basic.
std::optional<Client> basic_client(std::string_view header)
{
    if (lower_case(header.substr(0, 6)) != "basic ") return std::nullopt;
    const auto plain = from_base64(header.substr(6));
    const auto colon = plain ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos) return Client{};
    const Form decoded("id=" + plain->substr(0, colon) + "&secret=" + plain->substr(colon + 1));
    return Client{decoded["id"], decoded["secret"]};
}

/// Errors of this endpoint are RFC 6749, 5.2, and so of type application/json; what our own have stands beside.
void refuse(const CallPtr& call, int status, std::string_view error, std::string_view detail)
{
    call->told = [error = std::string(error)](int told_status, const std::string& shown, std::string_view code) {
        Json body = protocol::problem(told_status, shown, code);
        body.set("code", Json(code)).set("error", Json(told_status == kTooMany ? std::string_view("temporarily_unavailable") : std::string_view(error))).set("error_description", Json(shown));
        return HttpReply{.status = told_status, .headers = {{"Cache-Control", "no-store"}}, .body = dump_json(body), .content_type = "application/json"};
    };
    std::vector<std::pair<std::string, std::string>> headers;
    if (status == 401) headers.emplace_back("WWW-Authenticate", "Basic realm=\"millwright\"");
    reply_problem(*call, status, detail, "oauth", {}, std::move(headers));
}

}  // namespace

void oauth_token(Service& service, const CallPtr& call)
{
    const Form form(call->http.body);
    const auto type = call->http.header("content-type");
    if (!call->http.body.empty() && !lower_case(type).starts_with("application/x-www-form-urlencoded"))
        return refuse(call, 400, "invalid_request", fmt::format("Content-Type is '{}', expected application/x-www-form-urlencoded", type.substr(0, 100)));
    std::string grant(call->http.query_value("grant_type"));   // SAP's callers say it there
    if (grant.empty()) grant = form["grant_type"];
    if (grant.empty()) return refuse(call, 400, "invalid_request", "grant_type is missing: client_credentials");
    if (grant != "client_credentials") return refuse(call, 400, "unsupported_grant_type", "grant_type must be client_credentials");
    const auto basic = basic_client(call->http.header("authorization"));
    if (basic && !form["client_secret"].empty()) return refuse(call, 400, "invalid_request", "the client says who it is twice: in the header Authorization and in the body");
    const Client client = basic ? *basic : Client{form["client_id"], form["client_secret"]};

    const auto parsed = protocol::parse_token(client.secret);
    auto identity = service.tokens.authenticate(client.secret);
    if (!identity && is_retryable(identity.error())) return reply_error(*call, identity.error());
    // What was lent is not lent again: it would live for ever.
    if (!identity || parsed->kind == "access" || (client.id != identity->id && client.id != identity->subject))
        return refuse(call, 401, "invalid_client", "client id = the id of a token, client secret = the token itself (mw_…): one of the two is wrong");
    Scopes scopes = identity->scopes;
    if (const std::string& asked = form["scope"]; !asked.empty()) {
        scopes = Scopes::nothing();
        std::string_view rest = asked;
        while (!rest.empty()) {
            const auto space = rest.find(' ');
            if (const auto added = scopes.add(rest.substr(0, space)); !added) return refuse(call, 400, "invalid_scope", added.error().what);
            rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
        }
        if (!scopes.within(identity->scopes)) return refuse(call, 400, "invalid_scope", fmt::format("token {} has not all of '{}'", identity->id, asked.substr(0, 200)));
    }
    const auto lent = service.tokens.lend(*identity, scopes, kAccessLife);
    if (!lent) return reply_error(*call, lent.error());
    Json out = Json::object({{"access_token", Json(lent->text)}, {"token_type", "Bearer"}, {"expires_in", Json(static_cast<std::int64_t>(lent->life.count()))}});
    std::string words;
    for (const std::string& each : scopes.words()) words += (words.empty() ? "" : " ") + each;
    if (!words.empty()) out.set("scope", Json(words));
    service.core.note("use", "Token", identity->id, Json::object({{"kind", Json(identity->kind)}, {"subject", Json(identity->subject)}, {"scope", Json(words)}}), identity->who(call->http.remote),
                      [call, out](const Result<Nothing>& noted) {
                          if (passed(*call, noted)) reply(*call, 200, out, {{"Cache-Control", "no-store"}, {"Pragma", "no-cache"}});
                      });
}

}  // namespace mill::factory::handler
