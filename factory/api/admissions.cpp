// Admission without a code: a machine asks, a person compares code and fingerprint and decides, the machine fetches its identity.
#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/identity_answer.h"
#include "factory/api/render.h"
#include "factory/resources/resource.h"
#include "platform/base/encode.h"
#include "platform/base/log.h"
#include "platform/fingerprint.h"
#include "protocol/identity.h"
#include "protocol/version.h"

namespace mill::factory::handler {
namespace {

Json request_json(const Admission& request, const std::string& takes)
{
    Json out = Json::object({{"code", Json(request.code)}, {"name", Json(request.name)}, {"mode", Json(protocol::name(request.mode))},
                             {"fingerprint", Json(platform::fingerprint(request.public_key))}, {"address", Json(request.address)}});
    set_text(out, "environment", request.environment);
    set_text(out, "takes", takes);
    set_time(out, "createdAt", request.created);
    set_time(out, "expiresAt", request.expires);
    return out.set("facts", request.facts);
}

/// The state of the agent that has the wished name already, or nothing.
std::string taken_by(Service& service, const std::string& name)
{
    const auto agent = service.core.reader()->agent_by_name(name);
    return agent ? agent_json(*agent)["state"].as_string() : std::string();
}

/// Only the code of a reader's problem matters: what cannot be found does not exist.
std::optional<AgentRecord> agent_with_key(Service& service, const std::string& public_key)
{
    const auto agents = service.core.reader()->agents();
    if (!agents) return std::nullopt;
    for (const AgentRecord& each : *agents)
        if (each.public_key == public_key) return each;
    return std::nullopt;
}

void too_often(const Call& call, const Error& error, std::string_view name, Milliseconds wait)
{
    reply_problem(call, 429, error.what, name, Json::object({{"intervalMs", Json(wait.count())}}),
                  {{"Retry-After", std::to_string((wait.count() + 999) / 1000)}});
}

}  // namespace

void ask_admission(Service& service, const CallPtr& call)
{
    if (auto open = service.admissions.knock(call->http.remote); !open) return too_often(*call, open.error(), "too_many", std::chrono::seconds(60));
    const auto json = read_json(*call, false, 16);
    if (!json) return;
    Fields fields(*json, "admission");
    fields.ignore_unknown();
    const auto version = fields.integer("version", 1, 1'000'000);
    for (const auto& feature : fields.texts("must"))
        return reply_problem(*call, 426, fmt::format("the feature '{}' is not known here; known are none beyond version {}", feature.substr(0, 100), protocol::kVersion), "must");
    Admission wish;
    wish.name = fields.text("name");
    if (!is_agent_name(wish.name)) fields.mistake("name", kAgentNameRule);
    const std::string mode = fields.one_of("mode", {"attended", "unattended"}, "unattended");
    if (const auto known = protocol::parse_mode(mode)) wish.mode = *known;
    wish.environment = fields.text("environment", "");
    if (!wish.environment.empty() && !is_name(wish.environment)) fields.mistake("environment", "is no name of an environment");
    const std::string key_text = fields.text("publicKey");
    const auto key = from_base64(key_text), signature = from_base64(fields.text("signature"));
    if (!key || key->size() != 32) fields.mistake("publicKey", "must be 32 bytes in base64");
    wish.facts = fields.object("facts", Json::object());
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    if (!signature || !platform::verify(*key, protocol::admission_request(wish.name, mode, wish.environment, key_text), *signature))
        return reply_problem(*call, 403, "the request is not signed by the key that it names", "signature");
    wish.public_key = *key;
    wish.address = call->http.remote;
    const auto agreed = std::min<std::int64_t>(version, protocol::kVersion);
    // Admitted before, and the answer was lost: the key says who asks.
    if (const auto known = agent_with_key(service, *key)) {
        if (known->frozen) return reply_problem(*call, 403, fmt::format("agent '{}' is frozen: an administrator lets it go on (`millwright agents set {} --unfreeze`)", known->name, known->name), "copied_key");
        return reply_identity(service, *call, *known, 200, agreed);
    }
    if (const std::string taken = taken_by(service, wish.name); !taken.empty() && taken != "revoked" && taken != "frozen")
        return reply_problem(*call, 409, fmt::format("there is an agent '{0}' already ({1}): choose another name, or an administrator ends the key of that one first "
                                                     "(`millwright agents set {0} --revoke`)", wish.name, taken), "name_taken");
    const auto waits = service.admissions.ask(std::move(wish));
    if (!waits) return too_often(*call, waits.error(), "too_many", std::chrono::seconds(60));
    log::info("api", "'{}' at {} asks to be admitted as {} ({})", waits->name, waits->address, waits->code, platform::fingerprint(waits->public_key));
    const auto left = (waits->expires - service.clock.now()).count() / 1000;
    reply(*call, 202, Json::object({{"version", Json(agreed)}, {"id", Json(waits->id)}, {"code", Json(waits->code)}, {"challenge", Json(waits->challenge)},
                                    {"intervalMs", Json(waits->interval.count())}, {"expiresInMs", Json(left)}}),
          {{"Cache-Control", "no-store"}});
}

void poll_admission(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "admission");
    fields.ignore_unknown();
    const std::string id = fields.text("id");
    const auto signature = from_base64(fields.text("signature"));
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const auto gone = [&](const Error& error) { reply_problem(*call, 410, error.what, "admission_over"); };
    const auto known = service.admissions.find(id);
    if (!known) return gone(known.error());
    if (!signature || !platform::verify(known->public_key, protocol::admission_poll(known->id, known->challenge), *signature))
        return reply_problem(*call, 403, "only the key that asked hears how it stands", "signature");
    const auto now = service.admissions.poll(id);
    if (!now && now.error().code == Errc::not_found) return gone(now.error());
    if (!now) return too_often(*call, now.error(), "slow_down", service.admissions.find(id).value_or(*known).interval);
    switch (now->state) {
    case Admission::State::deciding:
    case Admission::State::waiting:
        return reply(*call, 202, Json::object({{"state", "waiting"}, {"intervalMs", Json(now->interval.count())}}));
    case Admission::State::refused:
        return reply_problem(*call, 403, fmt::format("an administrator refused it: {}", now->why), "admission_refused");
    case Admission::State::admitted: break;
    }
    const auto agent = service.core.reader()->agent(now->agent);
    if (!agent) return gone({Errc::not_found, "it was admitted and deleted since"});
    reply_identity(service, *call, *agent, 200, protocol::kVersion);
}

void list_admissions(Service& service, const CallPtr& call)
{
    Json items = Json::array();
    for (const Admission& each : service.admissions.waiting()) items.push(request_json(each, taken_by(service, each.name)));
    reply(*call, 200, Json::object({{"items", std::move(items)}}));
}

namespace {

std::optional<Admission> asked_for(Service& service, const Call& call)
{
    auto request = service.admissions.by_code(call["code"], call.http.remote);
    if (request) return std::move(*request);
    if (request.error().code == Errc::unavailable) too_often(call, request.error(), "too_many", std::chrono::seconds(60));
    else reply_error(call, request.error());
    return std::nullopt;
}

}  // namespace

void admit(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "admission");
    AdmitRequest request;
    request.name = fields.text("name", "");
    request.environment = fields.text("environment", "");
    request.labels = labels_of(fields, "labels");
    request.approve_in = environments_of(fields, "approveIn");
    request.take_over = fields.boolean("takeOver", false);
    request.user = user_of(fields);
    if (!request.name.empty() && !is_agent_name(request.name)) fields.mistake("name", kAgentNameRule);
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const auto asked = asked_for(service, *call);
    if (!asked) return;
    if (request.name.empty()) request.name = asked->name;
    if (request.environment.empty()) request.environment = asked->environment.empty() ? "default" : asked->environment;
    if (!service.core.reader()->document("Environment", request.environment))
        return reply_problem(*call, 409, fmt::format("environment '{}' is not there: make it first (`millwright apply`), or name another", request.environment.substr(0, 120)));
    request.public_key = asked->public_key;
    request.mode = asked->mode;
    request.facts = asked->facts;
    request.code = asked->code;
    if (!service.admissions.decide(asked->id)) return reply_problem(*call, 409, "somebody else decides about this request at this moment");
    service.core.admit(std::move(request), call->who(), [&service, call, id = asked->id](const Result<AgentRecord>& agent) {
        if (!agent) service.admissions.undecided(id);
        if (!passed(*call, agent)) return;
        service.admissions.admitted(id, agent->id);
        service.sessions.end(agent->id);   // of the key before, when the name was taken over
        log::info("api", "agent '{}' was admitted by {}", agent->name, call->who().name);
        reply(*call, 200, agent_json(*agent));
    });
}

void refuse_admission(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    Fields fields(*json, "refusal");
    const std::string why = fields.text("why", "");
    if (why.size() > 500) fields.mistake("why", "is longer than 500 bytes");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    const auto asked = asked_for(service, *call);
    if (!asked) return;
    Json detail = Json::object({{"code", Json(asked->code)}, {"key", Json(platform::fingerprint(asked->public_key))}, {"address", Json(asked->address)}, {"why", Json(why)}});
    if (!service.admissions.decide(asked->id)) return reply_problem(*call, 409, "somebody else decides about this request at this moment");
    service.core.note("refuse", "Agent", asked->name, std::move(detail), call->who(), [&service, call, id = asked->id, why](const Result<Nothing>& noted) {
        if (!noted) service.admissions.undecided(id);
        if (!passed(*call, noted)) return;
        service.admissions.refused(id, why.empty() ? "no reason was given" : why);
        reply_empty(*call);
    });
}

}  // namespace mill::factory::handler
