// What an attempt's token opens: its package, and its credentials in a box for its broker.
#include "factory/api/attempt_side.h"

#include <fmt/format.h>

#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/base/log.h"
#include "platform/crypto.h"
#include "platform/crypto_hpke.h"
#include "platform/files.h"
#include "protocol/sealed.h"
#include "protocol/version.h"

namespace mill::factory::handler {
namespace {

/// Puts one credential into the box with what it is bound to; false when an answer was given instead.
bool add_credential(protocol::Boxed& box, Service& service, const Call& call, const AttemptAccess& access, Reader& reader, const std::string& name)
{
    const auto refuse = [&](int status, std::string_view problem, const std::string& why) {
        reply_problem(call, status, why, problem);
        return false;
    };
    const Json* target = access.credentials.find(name);
    if (target == nullptr) return refuse(403, "forbidden", fmt::format("deployment '{}' binds no credential '{}'", access.deployment, name.substr(0, 100)));
    auto stored = reader.credential(target->as_string());
    if (!stored) return refuse(409, "credential", fmt::format("credential '{}' (for '{}') is not there any more", target->as_string(), name));
    const std::string& environment = stored->about["environment"].as_string();
    if (!environment.empty() && environment != access.environment)
        return refuse(403, "forbidden", fmt::format("credential '{}' belongs to environment '{}', this job runs in '{}'", stored->name, environment, access.environment));
    if (const Json* expires = stored->about.find("expires"))
        if (auto time = parse_time(expires->as_string()); time && *time <= service.clock.now())
            return refuse(409, "credential", fmt::format("credential '{}' expired at {}", stored->name, expires->as_string()));
    if (stored->about["held"].as_string() == "machine") {
        box.machine.set(name, Json::object({{"name", stored->name}, {"kind", stored->about["kind"]}, {"hosts", stored->about["hosts"]}}));
        return true;
    }
    auto values = service.vault.open(*stored);
    if (!passed(call, values)) return false;
    box.credentials.set(name, values->set("kind", stored->about["kind"]).set("hosts", stored->about["hosts"]));
    return true;
}

}  // namespace

std::optional<AttemptAccess> attempt_of(Service& service, const Call& call)
{
    std::string_view token = call.http.header("authorization");
    token = token.size() > 7 && (token.starts_with("Bearer ") || token.starts_with("bearer ")) ? token.substr(7) : std::string_view();
    auto access = service.core.attempt_access(token);
    if (access) return std::move(*access);
    reply_problem(call, 401, token.empty() ? "an attempt's token is needed" : access.error().what, "unauthorized", {},
                  {{"WWW-Authenticate", "Bearer realm=\"millwright\", error=\"invalid_token\""}});
    return std::nullopt;
}

void agent_package(Service& service, const CallPtr& call)
{
    const auto access = attempt_of(service, *call);
    if (!access) return;
    if ((*call)["digest"] != access->package_digest)
        return reply_problem(*call, 403, fmt::format("this attempt's package is {}, not {}", access->package_digest, (*call)["digest"].substr(0, 100)), "forbidden");
    auto bytes = platform::read_file(service.core.package_path(access->package_digest), 256 * 1024 * 1024);
    if (!passed(*call, bytes)) return;
    service.core.package_sent(*access);
    HttpReply out;
    out.content_type = "application/zip";
    out.body = std::move(*bytes);
    call->responder.reply(std::move(out));
}

void agent_credentials(Service& service, const CallPtr& call)
{
    if (!attempt_of(service, *call)) return;
    reply_problem(*call, 426, fmt::format("this agent asks for credentials in plain, which this factory does not answer: upgrade millwright-agent on its machine to {}",
                                          protocol::kProgramVersion), "upgrade");
}

void agent_sealed_credentials(Service& service, const CallPtr& call)
{
    const auto access = attempt_of(service, *call);
    if (!access) return;
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "credentials");
    fields.ignore_unknown();
    const auto names = fields.texts("names");
    const auto key = from_base64(fields.text("key"));
    if (!key || key->size() != 32) fields.mistake("key", "must be 32 bytes in base64: the X25519 key of the broker");
    const auto signature = from_base64(fields.text("signature"));
    if (!signature || signature->size() != 64) fields.mistake("signature", "must be 64 bytes in base64");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const auto reader = service.core.reader();
    const auto agent = reader->agent(access->agent);
    if (!agent || agent->frozen) return reply_problem(*call, 403, "the agent of this attempt is not enrolled here any more, or frozen", "forbidden");
    if (!platform::verify(agent->public_key, protocol::sealing_request(access->id, *key), *signature)) {
        log::warning("api", "credentials of attempt {} asked for from {} with a signature that is not agent '{}'s", access->id.key(), call->http.remote, agent->name);
        return reply_problem(*call, 403, fmt::format("the key that the credentials are to be sealed to is not signed by agent '{}' for this attempt", agent->name), "signature");
    }
    protocol::Boxed boxed;
    for (const std::string& name : names)
        if (!add_credential(boxed, service, *call, *access, *reader, name)) return;
    const auto box = platform::seal_to(*key, protocol::boxed_text(boxed), protocol::kSealedInfo, protocol::sealed_context(access->agent, access->id));
    if (!passed(*call, box)) return;
    // Nothing leaves before it is written down who got it.
    const auto answer = [call, box = *box](const Result<Nothing>& noted) {
        if (passed(*call, noted)) reply(*call, 200, Json::object({{"box", Json(to_base64(box))}}), {{"Cache-Control", "no-store"}});
    };
    if (names.empty()) return answer(Nothing{});
    for (std::size_t i = 0; i < names.size(); ++i)
        service.core.note("use", "Credential", access->credentials[names[i]].as_string(), Json::object({{"job", Json(access->id.job)}, {"attempt", Json(access->id.attempt)}, {"as", Json(names[i])}}),
                          Who{fmt::format("agent {}", agent->name), call->http.remote}, i + 1 == names.size() ? Done<Nothing>(answer) : Done<Nothing>());
}

}  // namespace mill::factory::handler
