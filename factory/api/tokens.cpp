#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/http/form.h"
#include "factory/api/render.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kValidAtOnce = 2;

void store(Service& service, const CallPtr& call, std::string_view kind, std::string_view subject, Json scope, std::optional<WallTime> expires = {})
{
    auto [token, record] = service.tokens.make(kind, subject, std::move(scope));
    record.expires = expires;
    service.core.put_token(std::move(record), call->who(), [&service, call, text = token.text](const Result<TokenRecord>& stored) {
        if (!passed(*call, stored)) return;
        // Once a person has an admin token of their own, the first one need not lie in a file any longer.
        if (stored->kind == "admin") std::remove((service.options.folder + "/admin-token").c_str());
        Json out = token_json(*stored);
        reply(*call, 201, out.set("token", Json(text)), {{"Cache-Control", "no-store"}});
    });
}

bool subject_exists(Service& service, const CallPtr& call, std::string_view kind, std::string_view name)
{
    if (service.core.reader()->document(kind, name)) return true;
    reply_problem(*call, 404, fmt::format("{} '{}' is not there", kind, name));
    return false;
}

/// Makes one more token of a trigger or environment; the oldest goes when two are there and `rotate` was said.
void rotate(Service& service, const CallPtr& call, std::string_view kind, const std::string& subject)
{
    auto tokens = service.core.reader()->tokens(kind, subject);
    if (!passed(*call, tokens)) return;
    if (tokens->size() < kValidAtOnce) return store(service, call, kind, subject, Json::object());
    if (!flag_of(*call, "rotate"))
        return reply_problem(*call, 409, fmt::format("'{}' has {} valid tokens already; ?rotate=true makes another and ends the oldest", subject, tokens->size()), "two_tokens");
    const auto oldest = std::min_element(tokens->begin(), tokens->end(), [](const auto& a, const auto& b) { return a.created < b.created; });
    const std::string id = oldest->id;
    service.core.delete_token(id, call->who(), [&service, call, id, kind = std::string(kind), subject](const Result<Nothing>& ended) {
        if (!passed(*call, ended)) return;
        service.tokens.forget(id);
        store(service, call, kind, subject, Json::object());
    });
}

}  // namespace

void make_token(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "token");
    const std::string kind = fields.one_of("kind", {"admin", "user", "env", "trigger"});
    std::string subject;
    Json scope = Json::object();
    if (kind == "trigger") subject = fields.text("trigger");
    else if (kind == "env") subject = fields.text("environment");
    else subject = fields.text("name");
    if (kind == "user") scope.set("role", Json(fields.one_of("role", {"viewer", "operator", "developer", "admin"})));
    std::optional<WallTime> expires;
    if (const auto text = fields.text("expires", ""); !text.empty()) {
        if (auto time = parse_time(text); time && *time > service.clock.now()) expires = *time;
        else fields.mistake("expires", "must be an RFC 3339 time in the future");
    }
    if (subject.size() > 100) fields.mistake("name", "is longer than 100 characters");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    if (kind == "trigger" && !subject_exists(service, call, "Trigger", subject)) return;
    if (kind == "env" && !subject_exists(service, call, "Environment", subject)) return;
    store(service, call, kind, subject, std::move(scope), expires);
}

void list_tokens(Service& service, const CallPtr& call)
{
    auto tokens = service.core.reader()->tokens(call->http.query_value("kind"), "");
    if (!passed(*call, tokens)) return;
    Json items = Json::array();
    for (const auto& each : *tokens) items.push(token_json(each));
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

void delete_token(Service& service, const CallPtr& call)
{
    const std::string id = (*call)["id"];
    auto token = service.core.reader()->token(id);
    if (!passed(*call, token)) return;
    if (token->kind == "admin") {
        auto admins = service.core.reader()->tokens("admin", "");
        if (admins && admins->size() <= 1)
            return reply_problem(*call, 409, "this is the last admin token: make another first (POST /v1/tokens {\"kind\":\"admin\",\"name\":…})");
    }
    service.core.delete_token(id, call->who(), [&service, call, id](const Result<Nothing>& done) {
        if (!passed(*call, done)) return;
        service.tokens.forget(id);
        reply_empty(*call);
    });
}

void trigger_tokens(Service& service, const CallPtr& call)
{
    if (!subject_exists(service, call, "Trigger", (*call)["name"])) return;
    auto tokens = service.core.reader()->tokens("trigger", (*call)["name"]);
    if (!passed(*call, tokens)) return;
    Json items = Json::array();
    for (const auto& each : *tokens) items.push(token_json(each));
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

void make_trigger_token(Service& service, const CallPtr& call)
{
    if (subject_exists(service, call, "Trigger", (*call)["name"])) rotate(service, call, "trigger", (*call)["name"]);
}

void make_environment_key(Service& service, const CallPtr& call)
{
    if (subject_exists(service, call, "Environment", (*call)["name"])) rotate(service, call, "env", (*call)["name"]);
}

void oauth_token(Service& service, const CallPtr& call)
{
    const auto refuse = [&](int status, std::string_view error, std::string_view detail) {
        reply_problem(*call, status, detail, "oauth", Json::object({{"error", Json(error)}, {"error_description", Json(detail)}}),
                      status == 401 ? std::vector<std::pair<std::string, std::string>>{{"WWW-Authenticate", "Basic realm=\"millwright\""}}
                                    : std::vector<std::pair<std::string, std::string>>{});
    };
    const Form form(call->http.body);
    std::string grant(call->http.query_value("grant_type"));
    if (grant.empty()) grant = form["grant_type"];
    if (grant != "client_credentials") return refuse(400, "unsupported_grant_type", "grant_type must be client_credentials");
    std::string id = form["client_id"], secret = form["client_secret"];
    const auto header = call->http.header("authorization");
    if (header.starts_with("Basic ") || header.starts_with("basic ")) {
        const auto plain = from_base64(header.substr(6));
        const auto colon = plain ? plain->find(':') : std::string::npos;
        if (colon != std::string::npos) {
            id = plain->substr(0, colon);
            secret = plain->substr(colon + 1);
        }
    }
    const auto identity = service.tokens.authenticate(secret);
    if (!identity || (id != identity->id && id != identity->subject))
        return refuse(401, "invalid_client", "client id = the id of a token, client secret = the token itself (mw_…): one of the two is wrong");
    reply(*call, 200, Json::object({{"access_token", Json(secret)}, {"token_type", "bearer"}, {"expires_in", 43199}}), {{"Cache-Control", "no-store"}});
}

void session(Service& service, const CallPtr& call)
{
    const Identity& who = call->identity;
    reply(*call, 200, Json::object({{"kind", Json(who.kind)}, {"id", Json(who.id)}, {"name", Json(who.subject)}, {"role", Json(name(who.role))},
                                    {"factoryId", Json(service.core.factory_id())}, {"version", Json(MILL_VERSION)}}));
}

}  // namespace mill::factory::handler
