#include "factory/api/chat_calls.h"

#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/start_run.h"
#include "factory/chat/answer.h"
#include "factory/chat/mapping.h"
#include "factory/chat/signature.h"
#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"
#include "platform/base/text.h"
#include "platform/crypto.h"

namespace mill::factory::handler {
namespace {

/// The trigger's token as a platform may send it: in the path, as a bearer, or as the password of Basic. Empty: none.
std::string sent_token(const Call& call)
{
    if (const std::string& secret = call["secret"]; !secret.empty()) return secret;
    const auto header = call.http.header("authorization");
    const auto space = header.find(' ');
    if (space == std::string_view::npos) return {};
    const std::string scheme = lower_case(header.substr(0, space));
    if (scheme == "bearer") return std::string(header.substr(space + 1));
    if (scheme != "basic") return {};
    const auto pair = from_base64(header.substr(space + 1));
    const auto colon = pair ? pair->find(':') : std::string::npos;
    return colon == std::string::npos ? std::string() : pair->substr(colon + 1);
}

/// Who sent the token, when it opens this trigger. Errors: denied (for the log), others of the store.
Result<Identity> admitted_by_token(Service& service, const Call& call, const Document* trigger)
{
    const std::string token = sent_token(call);
    if (token.empty()) return fail(Errc::denied, "it has no token: Authorization: Bearer TOKEN, Basic with the token as the password, or the token at the end of the path");
    auto identity = service.tokens.authenticate(token);
    if (!identity) return identity;
    if (!call["secret"].empty() && identity->kind != "trigger") return fail(Errc::denied, "only a token of the trigger may stand in the path, which others may see");
    if (trigger == nullptr) return fail(Errc::denied, "");
    const std::string environment = environment_of(service, *trigger);
    const bool may = ((identity->kind == "trigger" && identity->subject == trigger->name) || (identity->kind == "env" && identity->subject == environment) ||
                      identity->has(Role::operate, {Place::Of::all, {environment}})) && identity->scopes.has(Area::runs, true);
    if (!may) return fail(Errc::denied, fmt::format("its token ({} {}) is another's", identity->kind, identity->id));
    return identity;
}

/// The same for platforms that sign. The body has not been looked into.
Result<Identity> admitted_by_signature(Service& service, const Call& call, const Document& trigger, ChatPlatform platform)
{
    const auto secret = chat_secret(service, trigger);
    if (!secret) return fail(secret.error());
    const HttpCall& http = call.http;
    const Status checked = platform == ChatPlatform::slack
                               ? check_slack_signature(*secret, http.header("x-slack-signature"), http.header("x-slack-request-timestamp"), http.body, service.clock.now())
                               : check_teams_signature(*secret, http.header("authorization"), http.body);
    if (!checked) return fail(Errc::denied, checked.error().what);
    return Identity{.kind = "chat", .id = "", .subject = std::string(name(platform)), .role = Role::none, .environments = {}, .scopes = Scopes::everything()};
}

/// The same words whatever is wrong: a stranger learns neither which triggers there are nor which of them take chat calls.
void refuse(Service& service, const Call& call)
{
    ++service.refused;
    reply_problem(call, 401, "this call is not accepted. A platform that signs needs the signing secret that the factory has, and the right time; others send a token of the "
                             "trigger: Authorization: Bearer TOKEN, Basic with it as the password, or at the end of the path. `millwright triggers show NAME` says why it was refused",
                  "unauthorized", {}, {{"WWW-Authenticate", "Bearer realm=\"millwright\""}});
}

void refuse(Service& service, const Call& call, const Document& trigger, const std::string& why)
{
    if (service.chat_refusals.add(trigger.name, redacted(why), service.clock.now()))
        log::warning("chat", "a call of trigger '{}' from {} was refused: {}", trigger.name, call.http.remote, why);
    refuse(service, call);
}

/// What is said when the trigger says nothing of its own.
std::string usual_reply(const std::string& waiting_for)
{
    return waiting_for.empty() ? "I am on it." : fmt::format("I have taken it down. It waits: {}.", waiting_for);
}

void start_job(Service& service, const CallPtr& call, Document trigger, ChatPlatform platform, const std::shared_ptr<const ChatCall>& said)
{
    const Json& chat = trigger.spec["chat"];
    auto input = chat_input(chat["input"], said->neutral);
    if (!input) return reply_problem(*call, 500, fmt::format("chat.input of trigger '{}': {}", trigger.name, input.error().what), "chat_input");
    StartRun start;
    start.call.context = said->context;
    start.call.input = std::move(*input);
    start.key = event_key(platform, said->id);
    start.fingerprint = event_fingerprint(platform, *said);
    const Json* own = chat.find("reply");
    start.accepted = [&service, call, platform, said, own = own == nullptr ? std::optional<std::string>() : std::optional(own->as_string())](const Accepted& accepted) {
        std::string text = usual_reply(accepted.waiting_for);
        if (own) {
            auto made = chat_reply(*own, said->neutral, accepted.job.uid, accepted.waiting_for);
            if (made && (!made->empty() || platform != ChatPlatform::teams)) text = std::move(*made);   // Teams shows an error unless it gets a text
        }
        HttpReply answer = chat_answer(platform, *said, text, Json::object({{"jobUid", Json(accepted.job.uid)}, {"statusUrl", Json(service.status_url(call->http, accepted.job.uid))}}));
        if (accepted.repeated) answer.headers.emplace_back("Idempotent-Replayed", "true");
        call->responder.reply(std::move(answer));
    };
    start_run(service, call, std::move(trigger), std::move(start));
}

}  // namespace

std::string event_key(ChatPlatform platform, const std::string& id)
{
    if (id.empty()) return {};
    return fmt::format("chat:{}:{}", name(platform), id.size() <= 120 ? id : to_hex(platform::sha256(id)));
}

std::string event_fingerprint(ChatPlatform platform, const ChatCall& said) { return platform == ChatPlatform::webhook ? dump_json(said.neutral) : said.id; }

Result<std::string> chat_secret(Service& service, const Document& trigger) { return signing_secret(service, trigger, trigger.spec["chat"]["credentials"].as_string()); }

Result<std::string> signing_secret(Service& service, const Document& trigger, const std::string& name)
{
    const auto record = service.core.reader()->credential(name);
    if (!record) return fail(record.error().code, fmt::format("its credential '{}' is not there (millwright credentials set {} --kind hmac)", name, name));
    const Json& about = record->about;
    if (about["kind"].as_string() != "hmac") return fail(Errc::denied, fmt::format("its credential '{}' is of kind {}, hmac is needed", name, about["kind"].as_string()));
    if (const Json& expires = about["expires"]; expires.is_string())
        if (const auto end = parse_time(expires.as_string()); end && *end <= service.clock.now()) return fail(Errc::denied, fmt::format("its credential '{}' has expired on {}", name, expires.as_string()));
    if (const std::string& bound = about["environment"].as_string(); !bound.empty())
        if (const std::string environment = environment_of(service, trigger); environment != bound)
            return fail(Errc::denied, fmt::format("its credential '{}' belongs to environment '{}', the trigger's jobs run in '{}'", name, bound, environment));
    const auto values = service.vault.open(*record);
    if (!values) return fail(values.error());
    const std::string& secret = (*values)["secret"].as_string();
    if (secret.empty()) return fail(Errc::denied, fmt::format("its credential '{}' has no 'secret'", name));
    return secret;
}

void chat_call(Service& service, const CallPtr& call)
{
    if (!(*call)["secret"].empty()) call->http.path = "/v1/chat/{trigger}/***";   // however it was percent-encoded, no log shows it
    auto trigger = service.core.reader()->document("Trigger", (*call)["trigger"]);
    if (!trigger && trigger.error().code != Errc::not_found) return reply_error(*call, trigger.error());
    const auto platform = trigger ? parse_chat_platform(trigger->spec["chat"]["platform"].as_string()) : std::nullopt;
    if (!platform) {
        // As much work as for one that is there, about: a body is hashed where a signature came with it.
        const bool signature = !call->http.header("x-slack-signature").empty() || call->http.header("authorization").starts_with("HMAC ");
        if (signature) (void)platform::hmac_sha256("no secret", call->http.body);
        (void)admitted_by_token(service, *call, nullptr);
        return refuse(service, *call);
    }
    auto identity = signs(*platform) ? admitted_by_signature(service, *call, *trigger, *platform) : admitted_by_token(service, *call, &*trigger);
    if (!identity && is_retryable(identity.error())) return reply_error(*call, identity.error());   // ours, not the caller's
    if (!identity) return refuse(service, *call, *trigger, identity.error().what);
    call->identity = std::move(*identity);
    if (call->identity.role < Role::operate)
        if (const auto allowed = allowed_from(*trigger, call->http.remote); !allowed) return refuse(service, *call, *trigger, allowed.error().what);

    call->told = [platform = *platform](int status, const std::string& shown, std::string_view name) { return chat_refusal(platform, nullptr, status, shown, name); };
    const auto type = call->http.header("content-type");
    if (!takes_type(*platform, type))
        return reply_problem(*call, 415, fmt::format("Content-Type is '{}', expected application/json{}", type.substr(0, 100), *platform == ChatPlatform::slack ? " or application/x-www-form-urlencoded" : ""), "content_type");
    auto read = read_chat_call(*platform, type, call->http.body);
    call->http.body = {};
    if (!read) {
        const bool large = read.error().code == Errc::too_large;
        return reply_problem(*call, large ? 413 : 400, read.error().what, large ? "too_large" : "body");
    }
    // Signed, and perhaps long ago: Slack's time is in its signature, Teams' in the body that was signed.
    if (*platform == ChatPlatform::teams)
        if (auto checked = check_chat_time(read->time, service.clock.now()); !checked) {
            call->told = nullptr;
            return refuse(service, *call, *trigger, checked.error().what);
        }
    const auto said = std::make_shared<const ChatCall>(std::move(*read));
    if (said->kind != ChatCall::Kind::message) return call->responder.reply(chat_acknowledgement(*platform, *said));
    call->told = [platform = *platform, said](int status, const std::string& shown, std::string_view name) {
        return chat_refusal(platform, said.get(), status, fmt::format("I could not start that: {}", shown), name);
    };
    if (answer_in_chat(service, call, *trigger, *platform, said)) return;
    start_job(service, call, std::move(*trigger), *platform, said);
}

namespace {

/// Commands that run as they stand once $SECRET or $TOKEN is set, with what the platform itself would send, and a time of now.
std::string example_of(ChatPlatform platform, const std::string& url)
{
    const auto with_token = [&](std::string_view body) {
        return fmt::format("curl -sS -X POST {} -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '{}'", url, body);
    };
    switch (platform) {
    case ChatPlatform::slack:
        return fmt::format("T=$(date +%s); BODY=\"command=%2Ftry&text=hello&channel_id=C000TRY&user_id=U000TRY&trigger_id=try.$T\"\n"
                           "SIGNATURE=v0=$(printf 'v0:%s:%s' \"$T\" \"$BODY\" | openssl dgst -sha256 -hmac \"$SECRET\" -r | cut -d' ' -f1)\n"
                           "curl -sS -X POST {} -H \"X-Slack-Request-Timestamp: $T\" -H \"X-Slack-Signature: $SIGNATURE\" --data-raw \"$BODY\"", url);
    case ChatPlatform::teams:
        return fmt::format("T=$(date -u +%Y-%m-%dT%H:%M:%SZ); BODY=\"{{\\\"type\\\":\\\"message\\\",\\\"id\\\":\\\"try-$T\\\",\\\"timestamp\\\":\\\"$T\\\",\\\"text\\\":\\\"hello\\\","
                           "\\\"from\\\":{{\\\"id\\\":\\\"try\\\"}},\\\"conversation\\\":{{\\\"id\\\":\\\"19:try@thread.tacv2\\\"}}}}\"\n"
                           "KEY=$(printf %s \"$SECRET\" | base64 -d | od -An -v -tx1 | tr -d ' \\n')\n"
                           "SIGNATURE=$(printf %s \"$BODY\" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$KEY -binary | base64)\n"
                           "curl -sS -X POST {} -H \"Authorization: HMAC $SIGNATURE\" -H 'Content-Type: application/json' --data-raw \"$BODY\"", url);
    case ChatPlatform::sap_cai: return with_token(R"({"conversation":{"id":"example-1","language":"en","memory":{}},"nlp":{"source":"hello","entities":{}}})");
    case ChatPlatform::rasa: return with_token(R"({"next_action":"action_try","sender_id":"example-1","tracker":{"slots":{},"latest_message":{"text":"hello","entities":[]}}})");
    case ChatPlatform::botpress: return with_token(R"({"conversationId":"example-1","userId":"try","type":"text","payload":{"text":"hello"}})");
    case ChatPlatform::webhook: return with_token(R"({"conversation":"example-1","text":"hello","user":{"id":"try"}})");
    }
    return {};
}

}  // namespace

Json chat_calls(Service& service, const HttpCall& http, const Document& trigger)
{
    const Json& chat = trigger.spec["chat"];
    const auto platform = parse_chat_platform(chat["platform"].as_string());
    if (!platform) return {};
    const std::string url = fmt::format("{}/v1/chat/{}", service.base_url(http), trigger.name);
    Json out = Json::object({{"platform", Json(name(*platform))}, {"url", Json(url)}});
    if (signs(*platform)) {
        out.set("credential", chat["credentials"]);
        if (const auto secret = chat_secret(service, trigger); !secret) out.set("problem", Json(secret.error().what));
    }
    if (const auto last = service.chat_refusals.last(trigger.name))
        out.set("refused", Json::object({{"time", Json(format_time(last->time))}, {"why", Json(last->why)}, {"count", Json(last->count)}}));
    return out.set("example", Json(example_of(*platform, url)));
}

}  // namespace mill::factory::handler
