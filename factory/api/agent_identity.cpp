#include <charconv>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "factory/http/form.h"
#include "factory/api/identity_answer.h"
#include "factory/api/handlers.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/base/log.h"
#include "platform/crypto.h"
#include "platform/fingerprint.h"
#include "protocol/identity.h"
#include "protocol/version.h"

namespace mill::factory::handler {
namespace {

std::string frozen_words(const std::string& name)
{
    return fmt::format("agent '{0}' is frozen (copied_key): two machines used its key, one went back to an old state, or an administrator froze it. An administrator of the factory "
                       "lets it be enrolled again (`millwright agents invite --name {0} --take-over`) or, when they know why, go on (`millwright agents set {0} --unfreeze`)", name);
}

std::string other_key_words(const std::string& name, const std::string& why)
{
    return fmt::format("{}: the factory knows another key of agent '{}'", why, name);
}

/// Another key than the agent has. One that it had before is a copy, or the agent itself, robbed of its key by who changed it first.
void judge_other_key(Service& service, const CallPtr& call, const AgentRecord& agent, const std::string& jwt, const std::set<std::string>& audiences, const Error& why,
                     const std::function<void(int, std::string_view, std::string_view, std::string_view)>& refuse)
{
    const auto no = [refuse, words = other_key_words(agent.name, why.what)] { refuse(401, "invalid_client", words, "other_key"); };
    const auto known = service.core.replaced_keys(agent.id);
    if (!passed(*call, known)) return;
    for (const ReplacedKey& old : *known) {
        const auto assertion = verify_assertion(jwt, old.public_key, audiences, service.clock.now());
        if (!assertion) continue;
        if (agent.frozen) return refuse(403, "access_denied", frozen_words(agent.name), "copied_key");
        const std::string keys = fmt::format("its key {} was used, which was changed for {} at {}", platform::fingerprint(old.public_key),
                                             platform::fingerprint(agent.public_key), format_time(old.time));
        return service.core.replaced_key_used({agent.id, old.public_key, assertion->made}, {fmt::format("agent {}", agent.name), call->http.remote},
                                              [&service, call, refuse, no, keys, id = agent.id, name = agent.name](const Result<bool>& frozen) {
            if (!passed(*call, frozen)) return;
            if (!*frozen) return no();
            service.sessions.end(id);
            log::error("api", "agent '{0}' is frozen (copied_key): {1}. Who made that change may have the key that holds now: unless it was you, do not unfreeze it; "
                              "`millwright agents invite --name {0} --take-over`, and `enrol` on its machine", name, keys);
            refuse(403, "access_denied", fmt::format("{}. {}", keys, frozen_words(name)), "copied_key");
        });
    }
    no();
}

constexpr std::string_view kAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

}  // namespace

void enrol(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "enrol");
    fields.ignore_unknown();
    const auto version = fields.integer("version", 1, 1'000'000);
    for (const auto& feature : fields.texts("must"))
        return reply_problem(*call, 426, fmt::format("the feature '{}' is not known here; known are none beyond version {}", feature, protocol::kVersion), "must");
    EnrolRequest request;
    auto code = protocol::parse_token(fields.text("code"));
    if (!code || code->kind != "code") fields.mistake("code", "is not of the form mw_code_…: it is what `millwright agents invite` prints");
    request.name = fields.text("name");
    if (!is_agent_name(request.name)) fields.mistake("name", kAgentNameRule);
    if (fields.has("mode")) request.mode = protocol::parse_mode(fields.one_of("mode", {"attended", "unattended"}));
    auto key = from_base64(fields.text("publicKey"));
    if (!key || key->size() != 32) fields.mistake("publicKey", "must be 32 bytes in base64");
    request.facts = fields.object("facts", Json::object());
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    request.public_key = std::move(*key);
    request.code_id = code->id;
    request.code_sha256 = platform::sha256(code->text);
    const auto answered = std::min<std::int64_t>(version, protocol::kVersion);
    service.core.enrol(std::move(request), [&service, call, answered](const Result<AgentRecord>& agent) {
        if (!agent) {
            log::warning("api", "enrolment from {} refused: {}", call->http.remote, agent.error().what);
            return reply_error(*call, agent.error());
        }
        log::info("api", "agent '{}' enrolled from {}{}", agent->name, call->http.remote, agent->approved ? "" : ", waits for approval");
        service.sessions.end(agent->id);   // of the key before, when the name was taken over
        reply_identity(service, *call, *agent, 201, answered);
    });
}

void reply_identity(Service& service, const Call& call, const AgentRecord& agent, int status, std::int64_t version)
{
    const std::string url = service.base_url(call.http) + std::string(protocol::route::kToken);
    service.remember_audience(url);
    Json publishers = Json::array();
    if (const auto documents = service.core.reader()->documents("Publisher"))
        for (const Document& each : *documents)
            publishers.push(Json::object({{"name", each.name}, {"keys", each.spec["keys"]}, {"revoked", each.spec["revoked"]}}));
    Json out = Json::object({{"version", Json(version)}, {"agentId", Json(agent.id)}, {"name", Json(agent.name)}, {"factoryId", Json(service.core.factory_id())},
                                      {"factoryKey", Json(to_base64(service.key.public_key()))}, {"tokenUrl", Json(url)}, {"environment", Json(agent.environment)}, {"mode", Json(protocol::name(agent.mode))},
                                      {"approved", Json(agent.approved)}, {"publishers", std::move(publishers)}});
    if (!agent.user.empty()) out.set("user", Json(agent.user));
    reply(call, status, out);
}

void agent_token(Service& service, const CallPtr& call)
{
    const auto refuse = [call](int status, std::string_view error, std::string_view detail, std::string_view name = "oauth") {
        reply_problem(*call, status, detail, name, Json::object({{"error", Json(error)}, {"error_description", Json(detail)}}), {{"Cache-Control", "no-store"}});
    };
    if (!call->http.header("content-type").starts_with("application/x-www-form-urlencoded"))
        return refuse(415, "invalid_request", "the token request is form-encoded: Content-Type application/x-www-form-urlencoded");
    const Form form(call->http.body);
    if (form["grant_type"] != "client_credentials") return refuse(400, "unsupported_grant_type", "grant_type must be client_credentials");
    if (form["client_assertion_type"] != kAssertionType) return refuse(400, "invalid_request", fmt::format("client_assertion_type must be {}", kAssertionType));
    const std::string& jwt = form["client_assertion"];
    auto issuer = issuer_of(jwt);
    if (!issuer) return refuse(400, "invalid_request", issuer.error().what);
    auto agent = service.core.reader()->agent(*issuer);
    if (!agent && agent.error().code != Errc::not_found) return reply_error(*call, agent.error());
    if (!agent) return refuse(401, "invalid_client", "this agent is not known here: enrol it again", "unknown_agent");
    if (agent->public_key.empty())
        return refuse(403, "access_denied", fmt::format("agent '{0}' was revoked by an administrator of the factory; enrol it again with an invitation of theirs "
                                                        "(`millwright agents invite --name {0} --take-over`)", agent->name), "revoked");
    std::set<std::string> audiences;
    {
        const std::scoped_lock lock(service.audiences_mutex);
        audiences = service.audiences;
    }
    if (service.options.base_url)
        if (const auto base = service.options.base_url(); !base.empty()) audiences.insert(base + std::string(protocol::route::kToken));
    auto assertion = verify_assertion(jwt, agent->public_key, audiences, service.clock.now());
    if (!assertion) {
        // Another key: the agent may have one that the factory does not know yet, or the factory one that the agent lost.
        if (assertion.error().code != Errc::denied) return refuse(401, "invalid_client", assertion.error().what, "oauth");
        return judge_other_key(service, call, *agent, jwt, audiences, assertion.error(), refuse);
    }
    if (agent->frozen) return refuse(403, "access_denied", frozen_words(agent->name), "copied_key");
    CounterStep step{agent->id, assertion->counter, assertion->jti, std::to_string(service.clock.now().microseconds), agent->public_key};
    service.core.step_counter(std::move(step), [&service, call, refuse, id = agent->id, name = agent->name, jti = assertion->jti](const Result<std::string>& kept) {
        if (!kept && kept.error().code == Errc::denied) {
            service.sessions.end(id);
            log::error("api", "agent '{}' is frozen: {}", name, kept.error().what);
            return refuse(403, "access_denied", frozen_words(name), "copied_key");
        }
        if (!passed(*call, kept)) return;
        WallTime issued;
        std::from_chars(kept->data(), kept->data() + kept->size(), issued.microseconds);
        const auto grant = service.sessions.grant(id, jti, issued);
        reply(*call, 200, Json::object({{"access_token", Json(grant.token)}, {"token_type", "Bearer"}, {"expires_in", Json(grant.expires_in)}}),
              {{"Cache-Control", "no-store"}});
    });
}

void agent_key(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "key");
    fields.ignore_unknown();
    const std::string text = fields.text("publicKey");
    const auto key = from_base64(text);
    const auto by_new = from_base64(fields.text("signature")), by_old = from_base64(fields.text("signatureBefore"));
    if (!key || key->size() != 32) fields.mistake("publicKey", "must be 32 bytes in base64");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const auto agent = service.core.reader()->agent(call->agent);
    if (!passed(*call, agent)) return;
    const std::string said = protocol::key_change(agent->id, text);
    const auto signs = [&](const std::string& public_key, const Result<std::string>& signature) { return signature && platform::verify(public_key, said, *signature); };
    if (!signs(*key, by_new)) return reply_problem(*call, 403, "the new key did not sign the change", "signature");
    // Once changed, the answer that was lost is asked for with the old key, or with the new one.
    const bool changed = agent->public_key == *key;
    if (!changed && !signs(agent->public_key, by_old)) return reply_problem(*call, 403, "the key before did not sign the change", "signature");
    const Who who{fmt::format("agent {}", agent->name), call->http.remote};
    service.core.change_key(agent->id, agent->public_key, *key, who, [&service, call](const Result<AgentRecord>& done) {
        if (!passed(*call, done)) return;
        service.sessions.end(done->id);
        log::info("api", "agent '{}' has a new key", done->name);
        reply(*call, 200, Json::object({{"agentId", Json(done->id)}}));
    });
}

}  // namespace mill::factory::handler
