#include <charconv>

#include <fmt/format.h>

#include "factory/api/form.h"
#include "factory/api/handlers.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/base/log.h"
#include "platform/crypto.h"
#include "protocol/version.h"

namespace mill::factory::handler {
namespace {

constexpr std::string_view kAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

std::string token_url(Service& service, const Call& call)
{
    return service.base_url(call.http) + std::string(protocol::route::kToken);
}

bool is_agent_name(std::string_view name)
{
    if (name.empty() || name.size() > 100 || name.front() == '-' || name == "invitations") return false;
    for (const char c : name)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.')) return false;
    return true;
}

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
    if (!is_agent_name(request.name)) fields.mistake("name", "must be 1 to 100 letters, digits, '-', '_' or '.'");
    if (const auto mode = protocol::parse_mode(fields.one_of("mode", {"attended", "unattended"}, "unattended"))) request.mode = *mode;
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
        const std::string url = token_url(service, *call);
        service.remember_audience(url);
        log::info("api", "agent '{}' enrolled from {}{}", agent->name, call->http.remote, agent->approved ? "" : ", waits for approval");
        reply(*call, 201, Json::object({{"version", Json(answered)}, {"agentId", Json(agent->id)}, {"name", Json(agent->name)}, {"factoryId", Json(service.core.factory_id())},
                                        {"factoryKey", Json(to_base64(service.key.public_key()))}, {"tokenUrl", Json(url)}, {"environment", Json(agent->environment)},
                                        {"approved", Json(agent->approved)}, {"publishers", Json::array()}}));
    });
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
    std::set<std::string> audiences;
    {
        const std::scoped_lock lock(service.audiences_mutex);
        audiences = service.audiences;
    }
    if (service.options.base_url)
        if (const auto base = service.options.base_url(); !base.empty()) audiences.insert(base + std::string(protocol::route::kToken));
    auto assertion = verify_assertion(jwt, agent->public_key, audiences, service.clock.now());
    if (!assertion) return refuse(401, "invalid_client", assertion.error().what);
    if (agent->frozen)
        return refuse(403, "access_denied", fmt::format("agent '{}' is frozen (copied_key): two machines used its key; enrol it anew, or PATCH /v1/agents/{} {{\"frozen\":false}}",
                                                        agent->name, agent->name), "copied_key");
    CounterStep step{agent->id, assertion->counter, assertion->jti, std::to_string(service.clock.now().microseconds)};
    service.core.step_counter(std::move(step), [&service, call, refuse, id = agent->id, name = agent->name, jti = assertion->jti](const Result<std::string>& kept) {
        if (!kept && kept.error().code == Errc::denied) {
            service.sessions.end(id);
            log::error("api", "agent '{}' is frozen: {}", name, kept.error().what);
            return refuse(403, "access_denied", fmt::format("agent '{}' is frozen (copied_key): {}", name, kept.error().what), "copied_key");
        }
        if (!passed(*call, kept)) return;
        WallTime issued;
        std::from_chars(kept->data(), kept->data() + kept->size(), issued.microseconds);
        const auto grant = service.sessions.grant(id, jti, issued);
        reply(*call, 200, Json::object({{"access_token", Json(grant.token)}, {"token_type", "Bearer"}, {"expires_in", Json(grant.expires_in)}}),
              {{"Cache-Control", "no-store"}});
    });
}

}  // namespace mill::factory::handler
