// Signed webhooks: another program's event starts a job of an event trigger.
#include <fmt/format.h>

#include "factory/api/chat_calls.h"
#include "factory/api/handlers.h"
#include "factory/api/start_run.h"
#include "factory/chat/signature.h"
#include "factory/resources/resource.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"
#include "platform/crypto.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kLongestEventId = 200;

/// The same words whatever is wrong: a stranger does not learn which triggers there are.
void refuse_hook(Service& service, const Call& call)
{
    ++service.refused;
    reply_problem(call, 401, "this call is not accepted: it must be signed with the secret that the factory has, and fresh. `millwright triggers show NAME` says why it was refused",
                  "unauthorized");
}

Status check_signature(const HttpCall& http, std::string_view how, const std::string& secret, WallTime now)
{
    if (how == "github") return check_hub_signature(secret, http.header("x-hub-signature-256"), http.body);
    return check_standard_signature(secret, http.header("webhook-id"), http.header("webhook-timestamp"), http.header("webhook-signature"), http.body, now);
}

}  // namespace

void hook(Service& service, const CallPtr& call)
{
    auto trigger = service.core.reader()->document("Trigger", (*call)["trigger"]);
    if (!trigger && trigger.error().code != Errc::not_found) return reply_error(*call, trigger.error());
    const Json webhook = trigger ? trigger->spec["event"]["webhook"] : Json();
    const HttpCall& http = call->http;
    if (!webhook.is_object()) {
        (void)check_hub_signature("no secret", http.header("x-hub-signature-256"), http.body);   // as much work as for one that is there
        return refuse_hook(service, *call);
    }
    const bool github = webhook["signature"].as_string() == "github";
    const auto secret = signing_secret(service, *trigger, webhook["credentials"].as_string());
    if (!secret && is_retryable(secret.error())) return reply_error(*call, secret.error());   // ours, not the caller's
    const Status checked = secret ? check_signature(http, webhook["signature"].as_string(), *secret, service.clock.now()) : Status(fail(secret.error()));
    if (!checked) {
        if (service.chat_refusals.add(trigger->name, redacted(checked.error().what), service.clock.now()))
            log::warning("hooks", "a call of trigger '{}' from {} was refused: {}", trigger->name, http.remote, checked.error().what);
        return refuse_hook(service, *call);
    }
    if (const auto allowed = allowed_from(*trigger, http.remote); !allowed) return refuse_hook(service, *call);
    call->identity = Identity{"webhook", "", webhook["signature"].as_string(), Role::none};
    const std::string id(http.header(github ? "x-github-delivery" : "webhook-id"));
    if (id.size() > kLongestEventId) return reply_problem(*call, 400, fmt::format("the event's id is longer than {} bytes", kLongestEventId), "body");
    auto body = read_json(*call);
    if (!body) return;
    const std::string type = github ? std::string(http.header("x-github-event")) : (*body)["type"].as_string();
    auto input = webhook_input(trigger->spec["event"]["input"], Json::object({{"body", *body}, {"id", id}, {"type", type}}));
    if (!input) return reply_problem(*call, 400, input.error().what, "input");
    StartRun start;
    start.call.context = Json::object({{"event", Json::object({{"webhook", webhook["signature"]}, {"id", id}, {"type", type}})}});
    start.call.input = std::move(*input);
    if (!id.empty()) start.key = fmt::format("hook:{}", id);
    start.fingerprint = http.body;
    call->http.body = {};
    start_run(service, call, std::move(*trigger), std::move(start));
}

Json hook_calls(Service& service, const HttpCall& http, const Document& trigger, const std::string& body)
{
    const Json& webhook = trigger.spec["event"]["webhook"];
    if (!webhook.is_object()) return {};
    const std::string url = fmt::format("{}/v1/hooks/{}", service.base_url(http), trigger.name);
    Json out = Json::object({{"signature", webhook["signature"]}, {"url", Json(url)}, {"credential", webhook["credentials"]}});
    const auto secret = signing_secret(service, trigger, webhook["credentials"].as_string());
    if (!secret) out.set("problem", Json(secret.error().what));
    if (const auto last = service.chat_refusals.last(trigger.name))
        out.set("refused", Json::object({{"time", Json(format_time(last->time))}, {"why", Json(last->why)}, {"count", Json(last->count)}}));
    const std::string post = fmt::format("curl -sS -X POST {} -H 'Content-Type: application/json' --data-raw \"$BODY\"", url);
    if (webhook["signature"].as_string() == "github")
        return out.set("example", Json(fmt::format("BODY={}\nSIGNATURE=sha256=$(printf %s \"$BODY\" | openssl dgst -sha256 -hmac \"$SECRET\" -r | cut -d' ' -f1)\n"
                                                   "{} -H \"X-Hub-Signature-256: $SIGNATURE\" -H \"X-GitHub-Delivery: try-$(date +%s)\"", body, post)));
    const bool encoded = secret && secret->starts_with("whsec_");
    const std::string key = encoded ? "KEY=$(printf %s \"${SECRET#whsec_}\" | base64 -d | od -An -v -tx1 | tr -d ' \\n')\n" : "";
    return out.set("example", Json(fmt::format("T=$(date +%s); ID=try-$T; BODY={}\n{}SIGNATURE=v1,$(printf '%s.%s.%s' \"$ID\" \"$T\" \"$BODY\" | openssl dgst -sha256 {} -binary | base64)\n"
                                               "{} -H \"webhook-id: $ID\" -H \"webhook-timestamp: $T\" -H \"webhook-signature: $SIGNATURE\"",
                                               body, key, encoded ? "-mac HMAC -macopt hexkey:$KEY" : "-hmac \"$SECRET\"", post)));
}

}  // namespace mill::factory::handler
