#include "factory/api/render.h"

#include <fmt/format.h>

#include "factory/core/signing.h"
#include "platform/base/encode.h"
#include "platform/fingerprint.h"

namespace mill::factory {

void set_time(Json& out, std::string_view key, const std::optional<WallTime>& time)
{
    if (time) out.set(key, Json(format_time(*time)));
}

void set_text(Json& out, std::string_view key, std::string_view text)
{
    if (!text.empty()) out.set(key, Json(text));
}

Json resource_json(const Document& document)
{
    Json out = document.spec;
    Json status = Json::object({{"uid", Json(document.uid)}, {"generation", Json(document.generation)}, {"createdAt", Json(format_time(document.created))},
                                {"updatedAt", Json(format_time(document.changed))}, {"updatedBy", Json(document.changed_by)}});
    set_text(status, "source", document.source);
    if (const Json* granted = document.spec.find("granted")) {
        status.set("granted", *granted);
        out.erase("granted");
    }
    if (const Json* inherited = document.spec.find("inherited")) {
        status.set("inherited", *inherited);
        out.erase("inherited");
    }
    if (document.kind == "Trigger") {
        status.set("paused", Json(document.spec["paused"].as_bool()));
        set_text(status, "pausedWhy", document.spec["pausedWhy"].as_string());
        out.erase("pausedWhy");
        if (!document.spec["paused"].as_bool()) out.erase("paused");
    }
    return out.set("status", std::move(status));
}

Json package_json(const PackageRecord& package)
{
    Json out = Json::object({{"name", Json(package.name)}, {"version", Json(package.version)}, {"digest", Json(package.digest)},
                             {"size", Json(package.size)}, {"createdAt", Json(format_time(package.created))}});
    set_text(out, "createdBy", package.created_by);
    out.set("state", Json(name(package.state)));
    if (package.state_at) {
        Json changed = Json::object({{"by", Json(package.state_by)}, {"at", Json(format_time(*package.state_at))}});
        set_text(changed, "reason", package.state_why);
        out.set("stateChanged", std::move(changed));
    }
    return out.set("manifest", package.manifest);
}

Json signatures_json(const std::vector<SignatureRecord>& signatures, const std::vector<Document>& publishers)
{
    const std::set<std::string> revoked = revoked_prints(publishers);
    Json out = Json::array();
    for (const SignatureRecord& each : signatures) {
        const std::string print = platform::fingerprint(each.signature.key), name = publisher_of(publishers, each.signature.key);
        Json item = Json::object({{"key", protocol::key_text(each.signature.key)}, {"fingerprint", print}, {"standing", revoked.contains(print) ? "revoked" : name.empty() ? "unknown" : "counts"}});
        set_text(item, "publisher", name);
        out.push(item.set("manifest", each.signature.manifest).set("signature", to_base64(each.signature.bytes)).set("addedAt", format_time(each.created)).set("addedBy", each.created_by));
    }
    return out;
}

Json credential_json(const CredentialRecord& credential)
{
    Json out = Json::object({{"name", Json(credential.name)}});
    for (const auto& [key, value] : credential.about.as_object()) out.set(key, value);
    set_time(out, "createdAt", credential.created);
    set_time(out, "updatedAt", credential.changed);
    return out;
}

Json token_json(const TokenRecord& token)
{
    Json out = Json::object({{"id", Json(token.id)}, {"kind", Json(token.kind)}});
    const bool for_trigger = token.kind == "trigger", for_environment = token.kind == "env";
    set_text(out, for_trigger ? "trigger" : for_environment ? "environment" : "name", token.subject);
    set_text(out, "role", token.kind == "admin" ? "admin" : token.scope["role"].as_string());
    for (const char* member : {"environments", "scopes"})
        if (const Json* value = token.scope.find(member)) out.set(member, *value);
    set_time(out, "createdAt", token.created);
    set_time(out, "expiresAt", token.expires);
    set_time(out, "lastUsedAt", token.last_used);
    return out;
}

Json agent_json(const AgentRecord& agent)
{
    const std::string_view state = agent.public_key.empty() ? "revoked" : agent.frozen ? "frozen" : !agent.approved ? "unapproved" : agent.paused ? "paused" : agent.online ? "online" : "offline";
    Json jobs = Json::array();
    for (const auto& uid : agent.holds) jobs.push(Json(uid));
    Json out = Json::object({{"id", Json(agent.id)}, {"name", Json(agent.name)}, {"mode", Json(protocol::name(agent.mode))}, {"state", Json(state)},
                             {"online", Json(agent.online)}, {"approved", Json(agent.approved)}, {"paused", Json(agent.paused)},
                             {"approvedIn", agent.approved_in.is_array() ? agent.approved_in : agent.approved ? Json::array({Json("*")}) : Json::array()},
                             {"frozen", Json(agent.frozen)}, {"environment", Json(agent.environment)},
                             {"labels", agent.labels.is_object() ? agent.labels : Json::object()}, {"slots", Json(agent.slots)},
                             {"busy", Json(agent.holds.size())}, {"jobs", std::move(jobs)}});
    set_text(out, "user", agent.user);
    if (agent.sessions) out.set("sessions", true);
    set_text(out, "fingerprint", platform::fingerprint(agent.public_key));
    set_time(out, "offlineSince", agent.offline_since);
    set_text(out, "goodbye", agent.goodbye);
    set_time(out, "createdAt", agent.created);
    set_time(out, "lastSeen", agent.last_seen);
    return out.set("facts", agent.facts.is_object() ? agent.facts : Json::object());
}

Json code_json(const CodeRecord& code)
{
    Json out = Json::object({{"id", Json(code.id)}});
    for (const auto& [key, value] : code.terms.as_object()) out.set(key, value);
    return out.set("usesLeft", Json(code.uses_left)).set("createdAt", Json(format_time(code.created))).set("expiresAt", Json(format_time(code.expires)))
        .set("createdBy", Json(code.created_by));
}

Json job_json(const JobRecord& job, bool whole)
{
    Json out = Json::object({{"uid", Json(job.uid)}, {"state", Json(protocol::name(job.state))}});
    if (job.reason) out.set("reason", Json(protocol::name(*job.reason)));
    out.set("trigger", Json(job.trigger)).set("deployment", Json(job.deployment)).set("environment", Json(job.environment));
    out.set("package", Json::object({{"name", Json(job.package_name)}, {"version", Json(job.package_version)}, {"digest", Json(job.package_digest)}}));
    out.set("workflow", Json(job.workflow)).set("priority", Json(job.priority));
    set_text(out, "agent", job.agent);
    if (job.attempt > 0) out.set("attempt", Json(job.attempt));
    set_text(out, "requestedBy", job.requested_by);
    set_time(out, "createdAt", job.created);
    set_time(out, "assignedAt", job.assigned);
    set_time(out, "startedAt", job.started);
    set_time(out, "endedAt", job.ended);
    set_time(out, "expiresAt", job.expires);
    set_text(out, "retryOf", job.retry_of);
    set_text(out, "retriedBy", job.retried_by);
    if (job.cancel)
        out.set("cancel", Json::object({{"by", Json(job.cancel->by)}, {"why", Json(job.cancel->why)}, {"time", Json(format_time(job.cancel->time))}}));
    if (!whole) return out;
    out.set("invocationContext", job.context).set("input", job.input);
    if (!job.output.is_null() || job.state == protocol::JobState::successful) out.set("output", job.output);
    if (!job.error.is_null()) out.set("error", job.error);
    if (!job.evidence.is_null()) out.set("evidence", job.evidence);
    return out;
}

Json timeline_json(const JobRecord& job, const std::vector<TimelineRow>& rows)
{
    Json items = Json::array();
    for (const TimelineRow& row : rows) {
        Json item = Json::object({{"sequence", Json(row.sequence)}, {"time", Json(format_time(row.time))}, {"state", Json(row.what)}});
        set_text(item, "reason", row.reason);
        set_text(item, "agent", row.agent);
        if (row.attempt > 0) item.set("attempt", Json(row.attempt));
        set_text(item, "text", row.detail["text"].as_string());
        if (!row.detail.is_null()) item.set("detail", row.detail);
        items.push(std::move(item));
    }
    return Json::object({{"job", Json(job.uid)}, {"state", Json(protocol::name(job.state))}, {"items", std::move(items)}});
}

namespace {

Json reasons_json(const std::vector<WhyReason>& reasons, std::string_view subject)
{
    Json out = Json::array();
    for (const WhyReason& reason : reasons) {
        Json item = Json::object({{"code", Json(reason.code)}});
        set_text(item, subject, reason.subject);
        item.set("text", Json(reason.text));
        set_text(item, "hint", reason.command);
        out.push(std::move(item));
    }
    return out;
}

}  // namespace

Json why_json(const Why& why)
{
    Json out = Json::object();
    set_text(out, "job", why.job);
    return out.set("state", Json(protocol::name(why.state))).set("text", Json(why.summary)).set("reasons", reasons_json(why.reasons, "agent"));
}

Json preflight_json(const Preflight& preflight)
{
    constexpr std::string_view kCan[] = {"now", "later", "no"};
    Json agents = Json::array();
    for (const PreflightAgent& agent : preflight.agents) {
        Json item = Json::object({{"name", Json(agent.name)}, {"can", Json(kCan[static_cast<std::size_t>(agent.can)])}});
        set_text(item, "version", agent.version);
        agents.push(item.set("reasons", reasons_json(agent.reasons, "subject")));
    }
    return Json::object({{"deployment", Json(preflight.deployment)}, {"package", Json(preflight.package)}, {"environment", Json(preflight.environment)}, {"text", Json(preflight.summary)},
                         {"blocked", Json(preflight.blocked)},
                         {"counts", Json::object({{"now", Json(preflight.now)}, {"later", Json(preflight.later)}, {"no", Json(preflight.no)}})},
                         {"problems", reasons_json(preflight.problems, "subject")}, {"values", preflight.values}, {"agents", std::move(agents)}});
}

Json move_json(const VersionMove& move)
{
    Json out = Json::object({{"time", Json(format_time(move.time))}, {"by", Json(move.who)}, {"what", Json(move.from == move.to && move.what != "promoted" ? "settings" : move.what)}});
    set_text(out, "from", move.from);
    out.set("to", Json(move.to));
    set_text(out, "why", move.why);
    out.set("generation", Json(move.generation));
    if (move.rebound > 0) out.set("rebound", Json(move.rebound));
    return out;
}

Json files_json(const std::vector<FileStanding>& standing)
{
    Json out = Json::array();
    for (const FileStanding& one : standing) {
        Json item = Json::object({{"agent", one.agent}, {"online", one.online}, {"watches", one.online && one.said && one.problem.empty()}});
        set_text(item, "problem", one.problem);
        set_time(item, "saidAt", one.said);
        out.push(std::move(item));
    }
    return out;
}

std::string waiting_text(const Why& why)
{
    if (why.reasons.empty() || why.summary.find(why.reasons.front().text) != std::string::npos) return why.summary;
    return fmt::format("{}: {}", why.summary, why.reasons.front().text);
}

namespace {

Json event_head(const StoredEvent& stored)
{
    return Json::object({{"sequence", Json(stored.event.sequence)}, {"attempt", Json(stored.attempt)}, {"time", Json(format_time(stored.event.time))}});
}

Json with_body(const StoredEvent& stored)
{
    Json out = event_head(stored);
    if (const Json& body = stored.event.body; stored.event.kind == protocol::EventKind::gap && body["kind"].as_string() == "refused")
        return out.set("level", "warning").set("text", Json(fmt::format("the factory refused what the job said here: {}", body["why"].as_string())));
    if (stored.event.kind == protocol::EventKind::gap) {
        out.set("gap", stored.event.body["lost"]);
        return out.set("text", Json(fmt::format("{} records over the quota were not kept", stored.event.body["lost"].as_integer())));
    }
    for (const auto& [key, value] : stored.event.body.as_object())
        if (!out.contains(key)) out.set(key, value);
    return out;
}

}  // namespace

Json log_item(const StoredEvent& event) { return with_body(event); }
Json step_item(const StoredEvent& event) { return with_body(event); }

Json notifier_state_json(const NotifierState& state)
{
    Json out = Json::object({{"state", Json(state.held_since ? "held" : state.failures > 0 ? "failing" : "ok")}, {"failures", Json(state.failures)},
                             {"pending", Json(state.pending)}, {"dead", Json(state.dead)}});
    set_time(out, "heldSince", state.held_since);
    set_time(out, "nextProbe", state.next_probe);
    set_text(out, "because", state.failures > 0 ? state.why : std::string());
    return out;
}

Json delivery_json(const DeliveryRecord& delivery, bool whole)
{
    Json out = Json::object({{"id", Json(delivery.id)}});
    set_text(out, "job", delivery.job);
    set_text(out, "subject", delivery.subject);
    out.set("notifier", Json(delivery.notifier)).set("on", Json(delivery.event)).set("state", Json(name(delivery.state)));
    set_time(out, "createdAt", delivery.created);
    set_time(out, "nextTry", delivery.next_try);
    set_time(out, "finishedAt", delivery.finished);
    out.set("tries", Json(delivery.attempts));
    set_text(out, "error", delivery.error);
    if (delivery.overtook) out.set("overtook", Json(true));
    if (delivery.hold) {
        Json held = Json::object({{"because", Json(delivery.hold->why)}});
        set_time(held, "since", delivery.hold->held_since);
        set_time(held, "nextProbe", delivery.hold->next_probe);
        out.set("held", std::move(held));
    }
    if (!whole) return out;
    Json attempts = Json::array();
    for (const DeliveryAttempt& attempt : delivery.history) {
        Json item = Json::object({{"number", Json(attempt.number)}, {"time", Json(format_time(attempt.time))}, {"durationMs", Json(attempt.took.count())},
                                  {"request", attempt.request}});
        if (attempt.status != 0) item.set("response", Json::object({{"status", Json(attempt.status)}, {"body", Json(attempt.response)}}));
        set_text(item, "error", attempt.error);
        attempts.push(std::move(item));
    }
    return out.set("attempts", std::move(attempts));
}

}  // namespace mill::factory
