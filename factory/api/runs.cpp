#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/checks.h"
#include "factory/api/approvers.h"
#include "factory/api/handlers.h"
#include "factory/api/question_checks.h"
#include "factory/api/render.h"
#include "factory/api/rights.h"
#include "factory/api/run_call.h"
#include "factory/api/start_run.h"
#include "factory/http/address.h"
#include "factory/resources/callbacks.h"
#include "platform/base/encode.h"
#include "platform/base/redact.h"
#include "platform/crypto.h"

namespace mill::factory::handler {
namespace {

constexpr std::int64_t kLongestWait = 300;

/// One call of a trigger, on its way to a job.
struct Run {
    CallPtr call;
    Document trigger;
    RunRequest request;
    std::string digest;
    std::int64_t wait = 0;   ///< seconds to hold for the end
    std::function<void(const Accepted&)> accepted;
    std::optional<StartRun::Launch> launch;
    Who who() const { return launch ? Who{"user " + launch->user, call->http.remote} : call->who(); }
};
using RunPtr = std::shared_ptr<Run>;

/// Seconds in "Prefer: wait=N" (RFC 7240). A preference that we do not understand is no mistake.
std::int64_t preferred_wait(const HttpCall& call)
{
    std::string_view rest = call.header("prefer");
    const auto at = rest.find("wait=");
    if (at == std::string_view::npos) return 0;
    std::int64_t seconds = 0;
    for (const char c : rest.substr(at + 5)) {
        if (c < '0' || c > '9' || seconds > kLongestWait) break;
        seconds = seconds * 10 + (c - '0');
    }
    return std::min(seconds, kLongestWait);
}

Json run_json(Service& service, const Call& call, const JobRecord& job, const std::string& waiting_for)
{
    Json out = Json::object({{"jobUid", Json(job.uid)}, {"statusUrl", Json(service.status_url(call.http, job.uid))}, {"state", Json(protocol::name(job.state))},
                             {"waitingFor", waiting_for.empty() ? Json() : Json(waiting_for)}});
    set_text(out, "retryOf", job.retry_of);
    if (!protocol::is_final(job.state)) return out;
    if (job.reason) out.set("reason", Json(protocol::name(*job.reason)));
    if (!job.output.is_null()) out.set("output", job.output);
    if (!job.error.is_null()) out.set("error", job.error);
    return out;
}

void accept(Service& service, const RunPtr& run)
{
    const bool keyed = !run->request.idempotency_key.empty();
    service.core.accept_run(run->request, run->who(), [&service, run, keyed](Result<Accepted> accepted) {
        const Call& call = *run->call;
        if (!accepted && keyed && accepted.error().code == Errc::conflict && accepted.error().what.find("Idempotency-Key") != std::string::npos)
            return reply_problem(call, 422, accepted.error().what, "idempotency_key");
        if (!passed(call, accepted)) return;
        ++service.runs;
        if (run->accepted) return run->accepted(*accepted);
        std::vector<std::pair<std::string, std::string>> headers{{"Location", service.status_url(call.http, accepted->job.uid)}};
        if (accepted->repeated) headers.emplace_back("Idempotent-Replayed", "true");
        if (run->wait > 0) {
            headers.emplace_back("Preference-Applied", fmt::format("wait={}", run->wait));
            const std::string waiting_for = accepted->waiting_for;
            return service.core.when_final(accepted->job.uid, std::chrono::seconds(run->wait),
                                           [&service, run, waiting_for, headers](const Result<JobRecord>& job) {
                                               if (!passed(*run->call, job)) return;
                                               const bool ended = protocol::is_final(job->state), ready = job->state == protocol::JobState::ready;
                                               reply(*run->call, ended ? 200 : 202, run_json(service, *run->call, *job, ready ? waiting_for : ""), headers);
                                           });
        }
        reply(call, protocol::is_final(accepted->job.state) ? 200 : 202, run_json(service, call, accepted->job, accepted->waiting_for), std::move(headers));
    });
}

void refuse_input(const Run& run, const std::vector<std::string>& mistakes)
{
    Json list = Json::array();
    for (const auto& mistake : mistakes) list.push(run.launch ? mistake_json(mistake) : Json(mistake));
    reply_problem(*run.call, 400, fmt::format("the input does not fit trigger '{}': the workflow's input.schema says: {}", run.trigger.name, fmt::join(mistakes, "; ")), "input",
                  Json::object({{"mistakes", std::move(list)}}));
}

/// Light checks here and now; a schema with regular expressions, and what is large, in the sandbox.
void check_and_accept(Service& service, const RunPtr& run, const InputSchemas& schemas)
{
    const std::string& workflow = run->trigger.spec["workflow"].as_string();
    const auto found = schemas.find(workflow);
    if (found == schemas.end())
        return reply_problem(*run->call, 400, fmt::format("the package of trigger '{}' has no workflow '{}'", run->trigger.name, workflow), "input");
    const InputSchema& schema = found->second;
    if (schema.is_light(run->request.input)) {
        const auto mistakes = schema.schema ? schema.schema->mistakes(run->request.input) : std::vector<std::string>();
        return mistakes.empty() ? accept(service, run) : refuse_input(*run, mistakes);
    }
    const bool taken = service.checker->check_input(schema.document, run->request.input, [&service, run](const Result<std::vector<std::string>>& mistakes) {
        if (!mistakes) return reply_unchecked(*run->call, fmt::format("the input of trigger '{}' against the workflow's input.schema", run->trigger.name), mistakes.error(), 400, "input");
        return mistakes->empty() ? accept(service, run) : refuse_input(*run, *mistakes);
    });
    if (!taken) reply_checks_full(*run->call);
}

}  // namespace

void start_run(Service& service, const CallPtr& call, Document trigger, StartRun given)
{
    if (trigger.spec["paused"].as_bool()) {
        const std::string& why = trigger.spec["pausedWhy"].as_string();
        return reply_problem(*call, 409, fmt::format("trigger '{}' is paused{}{}; `millwright triggers resume {}` starts it again", trigger.name,
                                                     why.empty() ? "" : ": ", why, trigger.name), "paused");
    }
    auto run = std::make_shared<Run>();
    run->call = call;
    run->wait = given.wait;
    run->accepted = std::move(given.accepted);
    run->launch = std::move(given.launch);
    if (run->launch) {
        run->request.launch_agent = run->launch->agent;
        run->request.launch = run->launch->id;
    }
    run->request.trigger = trigger.name;
    run->request.input = protocol::merge_input(trigger.spec["input"], given.call.input);
    run->request.context = std::move(given.call.context);
    run->request.trace = given.call.trace;
    run->request.uid = std::move(given.uid);
    run->request.agent = std::move(given.agent);
    if (!given.call.callback_url.empty()) {
        if (const std::string wrong = callback_mistake(trigger.spec, given.call.callback_url); !wrong.empty()) return reply_problem(*call, 400, "callbackUrl " + wrong, "callback");
        run->request.callback = Json::object({{"url", Json(given.call.callback_url)}, {"secret", trigger.spec["callbackSecret"]}});
    }
    run->request.idempotency_key = std::move(given.key);
    if (!run->request.idempotency_key.empty()) run->request.body_sha256 = platform::sha256(given.fingerprint);
    {
        const auto reader = service.core.reader();
        const std::string& name = trigger.spec["deployment"].as_string();
        const auto deployment = reader->document("Deployment", name);
        if (!deployment) return reply_problem(*call, 409, fmt::format("trigger '{}': its deployment '{}' is not there", trigger.name, name));
        const Identity person{.kind = "user", .id = {}, .subject = run->launch ? run->launch->user : std::string()};
        // Of a file its agent may: who writes a trigger there was looked at, and it watches for that trigger.
        if (call->identity.kind != "agent" && !permitted_in_private(service, *call, run->launch ? person : call->identity, deployment->spec["environment"].as_string(), fmt::format("starting trigger '{}'", trigger.name))) return;
        std::string package = deployment->spec["package"].as_string();
        if (const auto trials = reader->trials())   // what all but a group run
            for (const Trial& one : *trials)
                if (one.deployment == name) package = one.from;
        const auto record = reader->package(package.substr(0, package.find('@')), package.substr(package.find('@') + 1));
        if (!record) return reply_problem(*call, 409, fmt::format("deployment '{}': its package '{}' is not there", name, package));
        if (record->state == PackageState::decommissioned)
            return reply_problem(*call, 409, fmt::format("trigger '{}' makes no jobs: package '{}' of deployment '{}' {}", run->request.trigger, package, name, state_words(*record)), "decommissioned");
        run->digest = record->digest;
    }
    run->trigger = std::move(trigger);
    const bool taken = with_input_schemas(service, run->digest, [&service, run](const Result<InputSchemaCache::Entry>& schemas) {
        if (!schemas) return reply_unchecked(*run->call, fmt::format("the package of trigger '{}'", run->trigger.name), schemas.error(), 500, "package");
        check_and_accept(service, run, **schemas);
    });
    if (!taken) reply_checks_full(*call);
}

Status allowed_from(const Document& trigger, std::string_view remote)
{
    const Json* networks = trigger.spec.find("allow");
    if (networks == nullptr) return {};
    const auto address = parse_address(remote);
    for (const Json& each : networks->as_array())
        if (const auto network = parse_network(each.as_string()); address && network && network->has(*address)) return {};
    return fail(Errc::denied, fmt::format("trigger '{}' is not called from {}: its `allow` has no network with that address", trigger.name, remote));
}

std::string environment_of(Service& service, const Document& trigger)
{
    const auto deployment = service.core.reader()->document("Deployment", trigger.spec["deployment"].as_string());
    return deployment ? deployment->spec["environment"].as_string() : std::string();
}

namespace {

std::optional<Document> find_trigger(Service& service, const std::string& name_or_uid)
{
    const auto reader = service.core.reader();
    if (auto found = reader->document("Trigger", name_or_uid)) return std::move(*found);
    if (const auto all = reader->documents("Trigger"))
        for (const Document& each : *all)
            if (each.uid == name_or_uid) return each;
    return std::nullopt;
}

void unknown_trigger(const Call& call, const std::string& name)
{
    reply_problem(call, 404, fmt::format("trigger '{}' is not there: it is the name or the uid that `millwright triggers show NAME` prints; GET /v1/triggers lists them",
                                         name.substr(0, 120)), "unknown_trigger");
}

void reject(const Call& call, std::string_view detail)
{
    reply_problem(call, 401, detail, "unauthorized", {}, {{"WWW-Authenticate", "Bearer realm=\"millwright\""}});
}

/// May this identity start the trigger? Answers itself when not.
bool may_start(Service& service, const Call& call, const Document& trigger)
{
    const Identity& identity = call.identity;
    if (identity.kind == "trigger" || identity.kind == "env")   // others have a role, which holds from everywhere
        if (const auto allowed = allowed_from(trigger, call.http.remote); !allowed) {
            reply_problem(call, 403, allowed.error().what, "address");
            return false;
        }
    if (trigger.spec["type"].as_string() == "attended") {   // whoever else may start triggers: this one is for those who are named
        const auto names = names_of(identity, environment_of_trigger(*service.core.reader(), trigger.spec));
        for (const Json& one : trigger.spec["assignedTo"].as_array())
            if (std::find(names.begin(), names.end(), one.as_string()) != names.end()) return true;
        reply_problem(call, 403, fmt::format("trigger '{}' is assigned to {}: {} does not start it", trigger.name, who_words(trigger.spec["assignedTo"]), identity.who("").name), "not_assigned");
        return false;
    }
    if (identity.kind == "trigger" && identity.subject == trigger.name) return true;
    if (identity.kind == "trigger") {
        reply_problem(call, 403, fmt::format("this token starts trigger '{}', not '{}'", identity.subject, trigger.name), "forbidden");
        return false;
    }
    if (identity.kind == "env") {
        const std::string environment = environment_of(service, trigger);
        if (identity.subject == environment) return true;
        reply_problem(call, 403, fmt::format("this key starts triggers of environment '{}'; '{}' belongs to '{}'", identity.subject, trigger.name, environment), "forbidden");
        return false;
    }
    return permitted(service, call, Role::operate, place_of_document(specs_in(*service.core.reader()), "Trigger", trigger.name, trigger.spec), fmt::format("starting trigger '{}'", trigger.name));
}

/// Who calls by SAP's headers (each suffices alone), else by our bearer. Nothing when it answered itself.
std::optional<Identity> sap_identity(Service& service, const Call& call, std::string_view trigger_token, std::string_view api_key)
{
    const auto authorization = call.http.header("authorization");
    std::string_view text = !trigger_token.empty() ? trigger_token : api_key;
    const std::string_view expected = !trigger_token.empty() ? "trigger" : !api_key.empty() ? "env" : "";
    const std::string_view source = expected == "trigger" ? "irpa-trigger-token" : expected == "env" ? "irpa-api-key" : "Authorization";
    if (text.empty() && authorization.size() > 7 && (authorization.starts_with("Bearer ") || authorization.starts_with("bearer "))) text = authorization.substr(7);
    if (text.empty()) {
        reject(call, "a token is needed: header irpa-trigger-token (or irpaTriggerToken in the body), irpa-api-key, or Authorization: Bearer");
        return std::nullopt;
    }
    auto identity = service.tokens.authenticate(text);
    if (!identity && identity.error().code != Errc::invalid && identity.error().code != Errc::denied) {
        reply_error(call, identity.error());
        return std::nullopt;
    }
    if (!identity) {
        reject(call, fmt::format("{}: {}", source, identity.error().what));
        return std::nullopt;
    }
    if (!identity->scopes.has(Area::runs, true)) {
        reply_problem(call, 403, fmt::format("starting a trigger needs the scope runs, which this token ({}) has not", identity->id), "forbidden", Json::object({{"needs", Json::object({{"scope", "runs"}})}}));
        return std::nullopt;
    }
    if (!expected.empty() && identity->kind != expected && identity->role < Role::operate) {
        reject(call, fmt::format("{}: this is a token of kind {}, expected one of kind {}", source, identity->kind, expected));
        return std::nullopt;
    }
    return std::move(*identity);
}

void start_with(Service& service, const CallPtr& call, Document trigger, Result<RunCall> given)
{
    call->http.body = {};   // the call may be held for minutes
    if (!given) return reply_problem(*call, 400, given.error().what, given.error().what.find("placeholder") != std::string::npos ? "placeholder" : "body");
    // Where somebody may answer say chat calls, and those who could change the approval itself.
    if (trigger.spec.contains("approval") && call->identity.role < Role::developer) given->context.erase("platform");
    // Whoever may only start a trigger does not decide what the factory keeps.
    if (given->trace && (call->identity.kind == "trigger" || call->identity.kind == "env"))
        return reply_problem(*call, 403, "a traced job keeps the data of every step: that needs a token of role operator", "forbidden");
    Json told = Json::array({given->context, given->input});
    if (given->trace) told.push("trace");
    if (!given->callback_url.empty()) told.push(Json(given->callback_url));
    const auto key = call->http.header("idempotency-key");
    if (key.size() > 200) return reply_problem(*call, 400, "Idempotency-Key is longer than 200 bytes");
    start_run(service, call, std::move(trigger), {std::move(*given), std::string(key), dump_json(told), preferred_wait(call->http), {}, {}});
}

void run_sap(Service& service, const CallPtr& call, bool by_trigger_token)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    redact_in_log((*json)["irpaTriggerToken"].as_string());
    // Who calls comes first: a stranger learns nothing about triggers or bodies.
    std::string token(call->http.header("irpa-trigger-token"));
    if (token.empty()) token = (*json)["irpaTriggerToken"].as_string();
    auto identity = sap_identity(service, *call, token, by_trigger_token ? std::string_view() : call->http.header("irpa-api-key"));
    if (!identity) return;
    call->identity = std::move(*identity);
    auto trigger = find_trigger(service, (*call)["id"]);
    if (!trigger) return unknown_trigger(*call, (*call)["id"]);
    if (!may_start(service, *call, *trigger)) return;
    auto given = parse_run_call(*json, true);
    start_with(service, call, std::move(*trigger), std::move(given));
}

}  // namespace

void run_trigger(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    auto trigger = service.core.reader()->document("Trigger", (*call)["name"]);
    if (!trigger && trigger.error().code != Errc::not_found) return reply_error(*call, trigger.error());
    if (!trigger) return unknown_trigger(*call, (*call)["name"]);
    if (!may_start(service, *call, *trigger)) return;
    start_with(service, call, std::move(*trigger), parse_run_call(*json, false));
}

void run_sap_trigger(Service& service, const CallPtr& call) { run_sap(service, call, true); }
void run_sap_runtime(Service& service, const CallPtr& call) { run_sap(service, call, false); }

}  // namespace mill::factory::handler
