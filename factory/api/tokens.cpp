#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "factory/resources/resource.h"
#include "platform/base/fields.h"
#include "platform/base/log.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kValidAtOnce = 2;

void store(Service& service, const CallPtr& call, std::string_view kind, std::string_view subject, Json scope, std::optional<WallTime> expires = {},
           std::function<void(const TokenRecord&)> then = {})
{
    auto [token, record] = service.tokens.make(kind, subject, std::move(scope));
    record.expires = expires;
    service.core.put_token(std::move(record), call->who(), [&service, call, text = token.text, then = std::move(then)](const Result<TokenRecord>& stored) {
        if (!passed(*call, stored)) return;
        if (then) then(*stored);
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
    std::erase_if(*tokens, [now = service.clock.now()](const TokenRecord& each) { return each.expires && *each.expires <= now; });
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

namespace {

Json texts(const std::vector<std::string>& list)
{
    Json out = Json::array();
    for (const std::string& each : list) out.push(Json(each));
    return out;
}

/// {role, environments, scopes} of a new token, as it is stored.
Json read_scope(Fields& fields, const std::string& kind)
{
    Json scope = Json::object();
    if (kind == "user") {
        scope.set("role", Json(fields.one_of("role", {"viewer", "operator", "developer", "admin"})));
        const auto environments = fields.texts("environments");
        if (environments.size() > 100) fields.mistake("environments", "are more than 100");
        for (const std::string& each : environments)
            if (!is_name(each)) fields.mistake("environments", fmt::format("has '{}', which is no name of an environment", each.substr(0, 100)));
        if (!environments.empty()) scope.set("environments", texts(environments));
    }
    if (!fields.has("scopes")) return scope;
    Scopes scopes = Scopes::nothing();
    const auto words = fields.texts("scopes");
    for (const std::string& each : words)
        if (const auto added = scopes.add(each); !added) fields.mistake("scopes", added.error().what);
    if (words.empty()) fields.mistake("scopes", "are none: such a token could do nothing; leave them out for all");
    if (kind == "admin") fields.mistake("scopes", "are for the other kinds: an admin token may do all");
    return scope.set("scopes", texts(words));
}

/// What a token of a trigger or an environment is about is given by whoever administers that.
bool may_give(Service& service, const Call& call, const TokenRecord& token, std::string_view action)
{
    if (token.kind == "trigger" || token.kind == "env") {
        const auto reader = service.core.reader();
        return permitted(service, call, Role::admin, place_of(*reader, token.kind == "env" ? About::environment : About::trigger, token.subject, true), action);
    }
    const Identity wanted = identity_of(token);
    if (call.identity.covers(wanted)) return true;
    const Place place = wanted.everywhere() ? Place{} : Place{Place::Of::all, wanted.environments};
    if (!permitted(service, call, Role::admin, place, action)) return false;
    reply_problem(call, 403, fmt::format("{}: it may do more than this token ({}), which scopes narrow", action, call.identity.id), "forbidden");
    return false;
}

bool is_valid(const TokenRecord& token, WallTime now) { return !token.expires || *token.expires > now; }

}  // namespace

void make_token(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "token");
    const std::string kind = fields.one_of("kind", {"admin", "user", "env", "trigger"});
    const std::string subject = fields.text(kind == "trigger" ? "trigger" : kind == "env" ? "environment" : "name");
    Json scope = read_scope(fields, kind);
    std::optional<WallTime> expires;
    if (const auto text = fields.text("expires", ""); !text.empty()) {
        const WallTime now = service.clock.now();
        if (auto time = parse_time(text); time && *time > now) expires = *time;
        else if (const auto span = parse_duration(text); span && span->count() > 0) expires = now + *span;
        else fields.mistake("expires", "must be an RFC 3339 time in the future, or a duration such as 90d");
    }
    if (subject.size() > 100) fields.mistake("name", "is longer than 100 characters");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    if (kind == "trigger" && !subject_exists(service, call, "Trigger", subject)) return;
    if (kind == "env" && !subject_exists(service, call, "Environment", subject)) return;
    for (const Json& each : scope["environments"].as_array())
        if (!subject_exists(service, call, "Environment", each.as_string())) return;
    const TokenRecord wanted{.id = {}, .kind = kind, .sha256 = {}, .subject = subject, .scope = scope, .created = {}, .expires = {}, .last_used = {}};
    if (!may_give(service, *call, wanted, fmt::format("making a token of kind {}", kind))) return;
    store(service, call, kind, subject, std::move(scope), expires);
}

void list_tokens(Service& service, const CallPtr& call)
{
    const auto reader = service.core.reader();
    auto tokens = reader->tokens(call->http.query_value("kind"), "");
    if (!passed(*call, tokens)) return;
    Json items = Json::array();
    for (const auto& each : *tokens) {
        const bool of_thing = each.kind == "trigger" || each.kind == "env";
        if (of_thing ? sees(*call, place_of(*reader, each.kind == "env" ? About::environment : About::trigger, each.subject, false)) : call->identity.covers(identity_of(each)))
            items.push(token_json(each));
    }
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

void delete_token(Service& service, const CallPtr& call)
{
    const std::string id = (*call)["id"];
    auto token = service.core.reader()->token(id);
    if (!passed(*call, token) || !may_give(service, *call, *token, fmt::format("ending token {}", id))) return;
    if (token->kind == "admin") {
        const WallTime now = service.clock.now();
        const auto admins = service.core.reader()->tokens("admin", "");
        if (admins && std::none_of(admins->begin(), admins->end(), [&](const TokenRecord& each) { return each.id != id && is_valid(each, now); }))
            return reply_problem(*call, 409, "this is the last admin token: make another first (POST /v1/tokens {\"kind\":\"admin\",\"name\":…})", "last_admin");
    }
    service.core.delete_token(id, call->who(), [&service, call, id](const Result<Nothing>& done) {
        if (!passed(*call, done)) return;
        service.tokens.forget(id);
        reply_empty(*call);
    });
}

void rotate_token(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "rotation");
    const std::string text = fields.text("overlap", "24h");
    const auto overlap = parse_duration(text);
    if (!overlap || overlap->count() < 0 || *overlap > Milliseconds(30LL * 86'400'000)) fields.mistake("overlap", "must be a duration from 0s to 30d: so long the old token holds beside the new one");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    auto old = service.core.reader()->token((*call)["id"]);
    if (!passed(*call, old) || !may_give(service, *call, *old, fmt::format("rotating token {}", old->id))) return;
    if (!is_valid(*old, service.clock.now())) return reply_problem(*call, 409, fmt::format("token {} expired at {}: make another", old->id, format_time(*old->expires)), "expired");
    Json scope = old->scope;
    scope.erase("bootstrap");
    const WallTime now = service.clock.now();
    std::optional<WallTime> expires;
    if (old->expires) expires = now + (*old->expires - old->created);   // as long as the old one was made for
    store(service, call, old->kind, old->subject, std::move(scope), expires, [&service, call, old = *old, end = now + *overlap](const TokenRecord&) mutable {
        if (!old.expires || *old.expires > end) old.expires = end;
        service.core.put_token(old, call->who(), [&service, id = old.id](const Result<TokenRecord>& kept) {
            if (!kept) log::warning("api", "token {} goes on beside the new one: {}", id, kept.error().what);
            service.tokens.forget(id);
        });
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

void session(Service& service, const CallPtr& call)
{
    const Identity& who = call->identity;
    Json out = Json::object({{"kind", Json(who.kind)}, {"id", Json(who.id)}, {"name", Json(who.subject)}, {"role", Json(name(who.role))},
                             {"factoryId", Json(service.core.factory_id())}, {"version", Json(MILL_VERSION)}});
    if (!who.everywhere()) out.set("environments", texts(who.environments));
    if (!who.scopes.all()) out.set("scopes", texts(who.scopes.words()));
    reply(*call, 200, out);
}

}  // namespace mill::factory::handler
