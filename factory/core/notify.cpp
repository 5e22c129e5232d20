#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "factory/core/sources.h"
#include "factory/dispatch/rules.h"
#include "protocol/secret_fields.h"
#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/base/text.h"
#include "platform/crypto.h"

namespace mill::factory::core {
namespace {

bool is_one(const Json& notifier, std::string_view member, const std::string& name)
{
    const Json& patterns = notifier[member];
    return std::any_of(patterns.as_array().begin(), patterns.as_array().end(), [&](const Json& pattern) { return matches_pattern(pattern.as_string(), name); });
}

Json optional_time(const std::optional<WallTime>& time) { return time ? Json(format_time(*time)) : Json(); }

}  // namespace

bool listens(const Json& notifier, std::string_view event)
{
    const Json& on = notifier["on"];
    const auto is = [&](const Json& one) { return one.as_string() == event || one.contains(event) || (one.as_string() == "all" && event != "waiting" && event != "question"); };
    return is(on) || std::any_of(on.as_array().begin(), on.as_array().end(), is);
}

bool is_source(const Json& notifier, const Binding& binding)
{
    // A name that is missing on both sides is no name that both have.
    const auto is = [&](std::string_view member, const std::string& name) { return !name.empty() && notifier[member].as_string() == name; };
    return is("trigger", binding.trigger) || is("deployment", binding.deployment) || is("environment", binding.environment);
}

Json document_of(const JobRecord& job, std::string_view event, const std::string& now)
{
    return Json::object(
        {{"event", event},
         {"time", now},
         {"job", Json::object({{"uid", job.uid}, {"state", protocol::name(job.state)}, {"reason", job.reason ? Json(protocol::name(*job.reason)) : Json()},
                               {"trigger", job.trigger}, {"deployment", job.deployment}, {"environment", job.environment},
                               {"package", Json::object({{"name", job.package_name}, {"version", job.package_version}, {"digest", job.package_digest}})},
                               {"workflow", job.workflow}, {"attempt", job.attempt}, {"agent", job.agent}, {"priority", job.priority}, {"retryOf", job.retry_of}})},
         {"trigger", Json::object({{"name", job.trigger}})},
         {"invocationContext", job.context},
         {"input", job.input},
         {"output", job.output},
         {"error", job.error},
         {"evidence", job.evidence},
         {"timings", Json::object({{"created", format_time(job.created)}, {"assigned", optional_time(job.assigned)}, {"started", optional_time(job.started)},
                                   {"ended", optional_time(job.ended)}})}});
}

/// The same whenever this is told of this job: who hears it twice, because the store is an older one, knows it by its id.
std::string delivery_id(std::string_view job, std::string_view notifier, std::string_view event)
{
    std::string bytes = platform::sha256(fmt::format("millwright-delivery\n{}\n{}\n{}", job, notifier, event)).substr(0, 16);
    bytes[6] = static_cast<char>((static_cast<unsigned char>(bytes[6]) & 0x0f) | 0x80);   // RFC 9562, version 8
    bytes[8] = static_cast<char>((static_cast<unsigned char>(bytes[8]) & 0x3f) | 0x80);
    const std::string hex = to_hex(bytes);
    return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4), hex.substr(20));
}

bool hears_of(const Json& notifier, const AgentRecord& agent)
{
    const Json& patterns = notifier["agents"];
    return std::any_of(patterns.as_array().begin(), patterns.as_array().end(),
                       [&](const Json& pattern) { return dispatch::has_member({pattern.as_string(), {}, {}}, agent); });
}

bool hears_of_credential(const Json& notifier, const std::string& credential) { return is_one(notifier, "credentials", credential); }

Milliseconds span_of(const Json& notifier, std::string_view event, std::string_view member, Milliseconds usual)
{
    for (const Json& one : notifier["on"].as_array())
        if (one.contains(event)) return parse_duration(one[event][member].as_string()).value_or(usual);
    return usual;
}

void CoreImpl::load_notifiers()
{
    watches_stale_ = true;
    notifiers_.clear();
    const auto documents = writer_.read().documents("Notifier");
    if (!documents) {
        log::error("core", "notifiers: {}", documents.error().what);
        return;
    }
    for (const Document& document : *documents) {
        notifiers_.push_back(document.spec);
        notifiers_.back().set("name", document.name);
    }
}

bool CoreImpl::has_notifiers(const Binding& binding, std::string_view event) const
{
    if (binding.rules.contains("agent")) return false;   // a canary is between its caller and its agent
    return options_.renderer && std::any_of(notifiers_.begin(), notifiers_.end(), [&](const Json& n) { return is_source(n, binding) && listens(n, event); });
}

/// document_of, without what its schema calls a secret: all that leaves the factory.
Json CoreImpl::document_to_tell(const JobRecord& job, std::string_view event, WallTime now)
{
    Json out = document_of(job, event, format_time(now));
    const auto schemas = writer_.read().package_inputs(job.package_digest);
    if (!schemas && schemas.error().code != Errc::not_found) return out.set("input", "…");   // nobody can say what in it is a secret
    if (schemas)
        if (const Json& schema = (*schemas)[job.workflow]; schema.is_object()) out.set("input", protocol::without_secrets(schema, job.input));
    return out;
}

Status CoreImpl::notify(JobKey job, const std::string& uid, const Binding& binding, std::string_view event, bool final)
{
    if (final)
        if (auto ok = call_back(job, uid, event); !ok) return ok;
    if (!has_notifiers(binding, event)) return {};
    const auto record = writer_.read().job(uid);
    if (!record) return fail(record.error());
    const Json document = document_to_tell(*record, event, clock_.now());
    for (std::size_t i = 0; i < notifiers_.size(); ++i)
        if (is_source(notifiers_[i], binding) && listens(notifiers_[i], event))
            if (auto ok = tell(notifiers_[i], {.key = uid, .event = event, .job = job, .subject = {}, .final = final}, document); !ok) return ok;
    return {};
}

/// As a notifier of type api would, to the address that came with the call.
Status CoreImpl::call_back(JobKey job, const std::string& uid, std::string_view event)
{
    const auto callback = writer_.callback(job);
    if (!callback || callback->is_null()) return callback ? Status() : Status(fail(callback.error()));
    const auto record = writer_.read().job(uid);
    if (!record) return fail(record.error());
    Json api = Json::object({{"url", (*callback)["url"]}, {"method", "POST"}});
    if (const Json& secret = (*callback)["secret"]; !secret.is_null()) api.set("secret", secret);
    const Json notifier = Json::object({{"name", Json(std::string(kCallback) + record->trigger)}, {"type", "api"}, {"api", std::move(api)}});
    return tell(notifier, {.key = uid, .event = event, .job = job, .subject = {}, .final = true}, document_to_tell(*record, event, clock_.now()));
}

/// The row, in the transaction of what it tells of. What was told before under the same key is not told again.
Status CoreImpl::tell(const Json& notifier, const Tale& tale, const Json& document)
{
    if (!options_.renderer) return {};
    const std::string& to = notifier["name"].as_string();
    const std::size_t slash = tale.event.find('/');   // "waiting/2": the second time that it waits
    const std::string event(tale.event.substr(0, slash));
    NewDelivery delivery{.id = delivery_id(tale.key, to, tale.event), .notifier = to, .event = event, .job = tale.job, .subject = tale.subject, .held = is_held(to), .final = tale.final,
                         .state = DeliveryState::pending, .created = clock_.now(), .next_try = clock_.now(), .request = {}, .error = {}};
    if (writer_.delivery_job(delivery.id)) return {};
    auto rendered = options_.renderer({delivery.id, event, document, notifier});
    if (rendered && !rendered->wanted) return {};
    if (rendered) {
        delivery.request = std::move(rendered->request);
    } else {
        delivery.state = DeliveryState::dead;
        delivery.held = false;
        delivery.next_try.reset();
        delivery.error = rendered.error().what;
    }
    if (auto ok = writer_.insert_delivery(delivery); !ok) return ok;
    Json detail = Json::object({{"notifier", to}, {"event", event}});
    if (!delivery.subject.empty()) detail.set("subject", delivery.subject);
    if (auto ok = feed({.time = delivery.created, .kind = "delivery", .job = tale.job, .subject = delivery.id, .what = name(delivery.state), .agent = {},
                        .reason = delivery.error, .detail = std::move(detail)});
        !ok)
        return ok;
    deliveries_made_ = true;
    if (delivery.state != DeliveryState::dead) return {};
    const auto dead = writer_.read().delivery(delivery.id);
    return dead ? tell_dead(*dead) : Status(fail(dead.error()));
}

/// Nobody is told of the dead letters of those who tell of dead letters: that would have no end.
Status CoreImpl::tell_dead(const DeliveryRecord& delivery)
{
    const auto own = std::find_if(notifiers_.begin(), notifiers_.end(), [&](const Json& n) { return n["name"].as_string() == delivery.notifier; });
    if (own != notifiers_.end() && !(*own)["deliveries"].is_null()) return {};
    Json document;
    for (std::size_t i = 0; i < notifiers_.size(); ++i) {
        if (!is_one(notifiers_[i], "deliveries", delivery.notifier) || !listens(notifiers_[i], "dead")) continue;
        if (document.is_null()) {
            const WallTime now = clock_.now();
            document = Json::object({{"event", "dead"}});
            if (!delivery.job.empty()) {
                const auto job = writer_.read().job(delivery.job);
                if (!job) return fail(job.error());
                document = document_to_tell(*job, "dead", now);
            }
            document.set("time", format_time(now));
            Json about = Json::object({{"id", delivery.id}, {"notifier", delivery.notifier}, {"event", delivery.event}, {"error", delivery.error},
                                       {"tries", delivery.attempts}, {"createdAt", format_time(delivery.created)}});
            if (!delivery.subject.empty()) about.set("subject", delivery.subject);
            document.set("delivery", std::move(about));
        }
        // Sent again and dead again is news.
        const std::string key = fmt::format("delivery {} {}", delivery.id, delivery.attempts);
        if (auto ok = tell(notifiers_[i], {.key = key, .event = "dead", .job = 0, .subject = "delivery/" + delivery.id, .final = true}, document); !ok) return ok;
    }
    return {};
}

Status CoreImpl::tell_held(const NotifierState& state)
{
    const auto own = std::find_if(notifiers_.begin(), notifiers_.end(), [&](const Json& n) { return n["name"].as_string() == state.notifier; });
    if (own != notifiers_.end() && !(*own)["deliveries"].is_null()) return {};
    for (std::size_t i = 0; i < notifiers_.size(); ++i) {
        if (!is_one(notifiers_[i], "deliveries", state.notifier) || !listens(notifiers_[i], "held")) continue;
        const std::string since = format_time(*state.held_since);
        const Json document = Json::object({{"event", "held"}, {"time", since}, {"notifier", Json::object({{"name", state.notifier}, {"why", state.why}, {"heldSince", since}})}});
        if (auto ok = tell(notifiers_[i], {.key = fmt::format("notifier {} {}", state.notifier, since), .event = "held", .job = 0, .subject = "notifier/" + state.notifier, .final = true}, document); !ok)
            return ok;
    }
    return {};
}

Status CoreImpl::tell_agent(const Agent& agent, std::string_view event)
{
    const AgentRecord& record = agent.record;
    const WallTime since = record.last_seen.value_or(record.created);   // of an outage: kept, so that it is the same after a restart
    const std::string outage = fmt::format("agent {} {}", record.id, since.microseconds);
    for (std::size_t i = 0; i < notifiers_.size(); ++i) {
        const Json& notifier = notifiers_[i];
        if (!hears_of(notifier, record) || !listens(notifier, event)) continue;
        // That it is back concerns whoever was told that it was away.
        if (event == "online" && !writer_.delivery_job(delivery_id(outage, notifier["name"].as_string(), "offline"))) continue;
        const WallTime now = clock_.now();
        Json about = Json::object({{"name", record.name}, {"environment", record.environment}, {"mode", protocol::name(record.mode)}, {"labels", record.labels}, {"online", event == "online"},
                                   {"paused", record.paused}, {"frozen", record.frozen}, {"goodbye", record.goodbye.empty() ? Json() : Json(record.goodbye)}});
        if (event != "frozen") about.set("offlineSince", format_time(since)).set("offlineFor", format_duration(std::chrono::duration_cast<Milliseconds>(std::chrono::floor<std::chrono::seconds>(now - since))));
        Json jobs = Json::array();
        for (const JobKey job : agent.holds) jobs.push(active_.at(job).uid);
        about.set("jobs", std::move(jobs));
        const Json document = Json::object({{"event", event}, {"time", format_time(now)}, {"agent", std::move(about)}});
        const std::string key = event == "frozen" ? fmt::format("agent {} {}", record.id, now.microseconds) : outage;
        if (auto ok = tell(notifier, {.key = key, .event = event, .job = 0, .subject = "agent/" + record.name, .final = event != "offline"}, document); !ok) return ok;
    }
    return {};
}

}  // namespace mill::factory::core
