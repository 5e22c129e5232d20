#include <fmt/format.h>

#include "factory/api/handlers.h"
#include "factory/api/question_checks.h"
#include "platform/base/encode.h"
#include "platform/base/fields.h"
#include "platform/base/log.h"
#include "protocol/version.h"

namespace mill::factory::handler {
namespace {

constexpr std::size_t kEventDepth = 80;   // the envelope around an output of depth 64

/// The agents' wire: unknown members are ignored, `must` names what has to be understood (nothing beyond version 1 yet).
bool understood(const Call& call, const Json& json)
{
    for (const Json& feature : json["must"].as_array()) {
        reply_problem(call, 426, fmt::format("the feature {} is not known here", dump_json(feature).substr(0, 100)), "must",
                      Json::object({{"version", Json(protocol::kVersion)}, {"known", Json::array()}}));
        return false;
    }
    return true;
}

Result<std::vector<protocol::AttemptId>> attempts_in(const Json& list, std::string_view member)
{
    std::vector<protocol::AttemptId> out;
    if (list.size() > 10'000) return fail(Errc::too_large, fmt::format("'{}' has more than 10000 entries", member));
    for (const Json& each : list.as_array()) {
        auto id = protocol::parse_attempt_id(each);
        if (!id) return fail(member, id.error());
        out.push_back(std::move(*id));
    }
    return out;
}

Json held_json(const HeldAnswer& held, bool with_acknowledged)
{
    Json out = protocol::to_json(held.id);
    out.set("standing", Json(name(held.standing)));
    if (with_acknowledged) out.set("acknowledged", Json(held.acknowledged));
    if (held.cancel) out.set("cancel", Json::object({{"by", Json(held.cancel->by)}, {"why", Json(held.cancel->why)}}));
    return out;
}

}  // namespace

void agent_proof(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "proof");
    fields.ignore_unknown();
    const std::string challenge = fields.text("challenge");
    if (challenge.size() > 200) fields.mistake("challenge", "is longer than 200 bytes");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    auto proof = service.key.prove(challenge);
    if (!passed(*call, proof)) return;
    reply(*call, 200, Json::object({{"factoryId", Json(service.core.factory_id())}, {"factoryProof", Json(to_base64(*proof))}}));
}

void agent_session(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json || !understood(*call, *json)) return;
    Fields fields(*json, "session");
    fields.ignore_unknown();
    const auto version = fields.integer("version", 1, 1'000'000);
    const std::string challenge = fields.text("challenge");
    SessionReport report;
    report.agent = call->agent;
    if (fields.has("mode")) report.mode = protocol::parse_mode(fields.one_of("mode", {"attended", "unattended"}));
    report.slots = static_cast<std::uint32_t>(fields.integer("slots", 1, 10'000, 1));
    report.facts = fields.object("facts", Json::object());
    const Json said_held = fields.array("held", Json::array());
    auto held = attempts_in(said_held, "held");
    const Json knows = fields.array("knows", Json::array());
    bool asks = false;
    for (const Json& word : knows.as_array()) {
        report.can_repeat = report.can_repeat || word.as_string() == "again";
        asks = asks || word.as_string() == "consent";
    }
    // A fact, so that it holds over a restart of this factory: who was never asked by an older agent is not passed over by a newer one.
    if (asks) report.facts.set("consent", true);
    else report.facts.erase("consent");
    const Json last = fields.object("last", Json::object());
    const auto see = [&report](const Json& one) {
        if (auto id = protocol::parse_attempt_id(one)) report.seen.push_back({std::move(*id), static_cast<std::uint64_t>(std::max<std::int64_t>(0, one["acknowledged"].as_integer()))});
    };
    if (report.can_repeat) {   // who cannot say it again would hold up its environment for good
        for (const Json& one : said_held.as_array()) see(one);
        if (last.contains("job")) see(last);
    }
    if (challenge.size() > 200) fields.mistake("challenge", "is longer than 200 bytes");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    if (!passed(*call, held)) return;
    report.held = std::move(*held);
    const auto agreed = std::min<std::int64_t>(version, protocol::kVersion);
    service.core.open_session(std::move(report), [&service, call, agreed, challenge](const Result<SessionAnswer>& answer) {
        if (!passed(*call, answer)) return;
        auto proof = service.key.prove(challenge);
        if (!passed(*call, proof)) return;
        Json list = Json::array();
        for (const HeldAnswer& each : answer->held) list.push(held_json(each, true));
        const AgentRecord& agent = answer->agent;
        const CoreOptions& times = service.core.options();
        Json out = Json::object({{"version", Json(agreed)}, {"epoch", Json(answer->epoch)}, {"factoryId", Json(service.core.factory_id())},
                                        {"factoryProof", Json(to_base64(*proof))}, {"environment", Json(agent.environment)}, {"approved", Json(agent.approved)},
                                        {"state", Json(agent.frozen ? "frozen" : agent.paused ? "paused" : "active")}, {"mode", Json(protocol::name(agent.mode))},
                                        {"pollMs", Json(times.poll.count())}, {"leaseMs", Json(times.lease.count())}, {"renewMs", Json(times.renew.count())},
                                        {"held", std::move(list)}, {"reportAgain", Json(answer->report_again)}, {"revokedKeys", answer->revoked.is_null() ? Json::array() : answer->revoked}});
        if (!agent.user.empty()) out.set("user", Json(agent.user));
        reply(*call, 200, out);
    });
}

namespace {

/// Ties a parked poll to its connection: whichever goes first.
struct Parked {
    std::mutex mutex;
    std::uint64_t ticket = 0;
    bool gone = false, answered = false;
};

/// What the agent's user said of a job of somebody else; nothing: it is no such answer.
std::optional<OfferAnswer::Consent> consent_in(const Json& answer)
{
    using Word = OfferAnswer::Consent::Word;
    const auto time = [](const Json& value) {
        const auto at = parse_time(value.as_string());
        return at ? std::optional(*at) : std::nullopt;
    };
    const std::string& word = answer["answer"].as_string();
    if (word == "asking") return OfferAnswer::Consent{Word::asking, {}, time(answer["until"])};
    if (word == "consented") return OfferAnswer::Consent{Word::given, answer["choice"].as_string(), {}};
    const Json& said = answer["consent"];
    if (word != "busy" || !said.is_object()) return std::nullopt;
    return OfferAnswer::Consent{Word::declined, said["choice"].as_string(), time(said["until"])};
}

Json poll_json(const PollAnswer& answer)
{
    Json offers = Json::array(), cancels = Json::array(), drop = Json::array();
    for (std::size_t i = 0; i < answer.offers.size(); ++i) {
        Json offer = protocol::to_json(answer.offers[i]);
        if (i < answer.consents.size() && !answer.consents[i].is_null()) offer.set("consent", answer.consents[i]);
        offers.push(std::move(offer));
    }
    for (const auto& cancel : answer.cancels) {
        Json item = protocol::to_json(cancel.id);
        cancels.push(item.set("by", Json(cancel.by)).set("why", Json(cancel.why)));
    }
    for (const auto& id : answer.drop) drop.push(protocol::to_json(id));
    Json out = Json::object({{"offers", std::move(offers)}, {"cancels", std::move(cancels)}, {"drop", std::move(drop)}});
    if (!answer.revoked.empty()) out.set("revokedKeys", answer.revoked);
    if (answer.person != 0) out.set("person", Json(answer.person));
    if (!answer.answered.empty()) {
        Json list = Json::array();
        for (const AnswerOrder& each : answer.answered) list.push(asked_json(each.id, each.question));
        out.set("answered", std::move(list));
    }
    if (!answer.files.is_null()) out.set("files", answer.files);
    if (!answer.doctor.empty()) out.set("doctor", Json::object({{"id", answer.doctor}}));
    return out;
}

}  // namespace

void offers(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json || !understood(*call, *json)) return;
    Fields fields(*json, "offers");
    fields.ignore_unknown();
    Poll poll;
    poll.agent = call->agent;
    poll.want = static_cast<std::uint32_t>(fields.integer("want", 0, 10'000));
    const Json answers = fields.array("answers", Json::array());   // held: the loop only refers to it
    for (const Json& each : answers.as_array()) {
        auto id = protocol::parse_attempt_id(each);
        const std::string& answer = each["answer"].as_string();
        if (!id) fields.mistake("answers", id.error().what);
        else if (answer != "busy" && answer != "not_held" && answer != "asking" && answer != "consented") fields.mistake("answers", "must say busy, not_held, asking or consented");
        else poll.answers.push_back(OfferAnswer{std::move(*id), answer == "busy", each["why"].as_string().substr(0, 1000), consent_in(each)});
    }
    if (fields.has("waitMs")) poll.wait = Milliseconds(fields.integer("waitMs", 0, 3'600'000));
    poll.next = Milliseconds(fields.integer("nextMs", 0, 3'600'000, 0));
    for (const Json& each : (*json)["heard"].as_array())
        if (each.is_string() && poll.heard.size() < 10'000) poll.heard.push_back(each.as_string());
    poll.unable = fields.text("unable", "").substr(0, 500);
    for (const Json& word : (*json)["knows"].as_array()) {
        poll.knows_doctor = poll.knows_doctor || word.as_string() == "doctor";
        poll.knows_person = poll.knows_person || word.as_string() == "person";
        if (word.as_string() == "files") poll.files = (*json)["files"].as_string().substr(0, 100);
    }
    if ((*json)["session"].is_object()) poll.session = (*json)["session"];
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());
    call->http.body = {};   // thousands of these are parked
    call->http.headers = {};
    auto parked = std::make_shared<Parked>();
    call->responder.on_gone([&service, parked, agent = call->agent] {
        std::uint64_t ticket = 0;
        {
            const std::scoped_lock lock(parked->mutex);
            parked->gone = true;
            if (parked->answered) return;
            ticket = parked->ticket;
        }
        if (ticket != 0) service.core.unpark(agent, ticket);
    });
    const auto ticket = service.core.park(std::move(poll), [call, parked](const Result<PollAnswer>& answer) {
        {
            const std::scoped_lock lock(parked->mutex);
            parked->answered = true;
            if (parked->gone) return;   // nobody is there to hear it
        }
        if (answer) return reply(*call, 200, poll_json(*answer));
        if (answer.error().code == Errc::conflict) return reply_problem(*call, 409, answer.error().what, "newer_poll");
        reply_error(*call, answer.error());
    });
    bool gone = false;
    {
        const std::scoped_lock lock(parked->mutex);
        parked->ticket = ticket;
        gone = parked->gone && !parked->answered;
    }
    if (gone) service.core.unpark(call->agent, ticket);
}

void agent_events(Service& service, const CallPtr& call)
{
    auto json = read_json(*call, false, kEventDepth);
    if (!json || !understood(*call, *json)) return;
    call->http.body = {};
    const Json& attempts = (*json)["attempts"];
    if (!attempts.is_array()) return reply_problem(*call, 400, "events: 'attempts' must be a list");
    std::vector<EventBatch> batches;
    for (const Json& each : attempts.as_array()) {
        auto id = protocol::parse_attempt_id(each);
        if (!id) return reply_problem(*call, 400, fmt::format("events: {}", id.error().what));
        EventBatch batch{std::move(*id), {}, {}};
        if (const Json* offer = each.find("offer"); offer != nullptr && offer->is_object()) batch.offer = *offer;
        for (const Json& event : each["events"].as_array()) {
            const std::int64_t sequence = event["sequence"].as_integer();
            if (sequence < 1) return reply_problem(*call, 400, fmt::format("events: attempt {} has an event without a sequence number", batch.id.key()));
            batch.events.push_back({static_cast<std::uint64_t>(sequence), protocol::parse_event(event)});
        }
        batches.push_back(std::move(batch));
    }
    const bool all_again = (*json)["againDone"].as_bool();
    service.core.ingest(call->agent, std::move(batches), [&service, call, all_again](const Result<std::vector<EventAnswer>>& answers) {
        if (!passed(*call, answers)) return;
        Json list = Json::array();
        for (const EventAnswer& each : *answers) {
            Json item = protocol::to_json(each.id);
            Json refused = Json::array();
            for (const auto& one : each.refused) refused.push(Json::object({{"sequence", Json(one.sequence)}, {"why", Json(one.why)}}));
            item.set("acknowledged", Json(each.acknowledged)).set("standing", Json(name(each.standing))).set("refused", std::move(refused));
            list.push(std::move(item));
        }
        Json out = Json::object({{"attempts", std::move(list)}});
        if (!all_again) reply(*call, 200, out);
        else
            service.core.reported_again(call->agent, [call, out](const Result<Nothing>& done) {
                if (passed(*call, done)) reply(*call, 200, out);
            });
        for (const EventAnswer& each : *answers) service.log_waiters.notify(each.id.job);
    });
}

void leases(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json || !understood(*call, *json)) return;
    auto held = attempts_in((*json)["attempts"], "attempts");
    if (!passed(*call, held)) return;
    service.core.renew(call->agent, std::move(*held), [call](const Result<std::vector<HeldAnswer>>& answers) {
        if (!passed(*call, answers)) return;
        Json list = Json::array();
        for (const HeldAnswer& each : *answers) list.push(held_json(each, false));
        reply(*call, 200, Json::object({{"attempts", std::move(list)}}));
    });
}

void goodbye(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call, true);
    if (!json) return;
    service.core.goodbye(call->agent, (*json)["why"].as_string().substr(0, 200), [call](const Result<Nothing>& done) {
        if (passed(*call, done)) reply_empty(*call);
    });
}

}  // namespace mill::factory::handler
