#include "agent/link.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "agent/lease.h"
#include "agent/questions.h"
#include "agent/report_again.h"
#include "platform/base/encode.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/base/redact.h"
#include "platform/crypto.h"
#include "platform/network_watch.h"
#include "protocol/canary.h"
#include "protocol/version.h"

namespace mill::agent {
namespace {

constexpr std::chrono::seconds kSession{120};  // token, proof and session: each may take 20 s, twice

Milliseconds period(const Json& json, std::string_view key, Milliseconds fallback)
{
    const std::int64_t value = json[key].as_integer();
    return value >= 100 && value <= 3'600'000 ? Milliseconds(value) : fallback;
}

}  // namespace

void Link::run(std::stop_token stop)
{
    // What waits for the factory does not wait on when the network is there again.
    const auto network = platform::watch_network([this] { parts_.tokens.pulse().beat(); });
    if (!network) log::debug("link", "changes of the network are not seen: {}", network.error().what);
    std::string session;  // the token that the session was opened with
    while (!stop.stop_requested()) {
        Refusal refusal;
        promise(kSession);
        auto token = parts_.tokens.get(stop, &refusal);
        if (!token) {
            pause(token.error(), refusal, stop);
            continue;
        }
        if (*token != session) {
            if (auto opened = open_session(*token, stop, refusal); !opened) {
                // A token of before the factory's restart: a new one at once, but not again and again.
                const bool outdated = refusal.status == 401 && std::exchange(fresh_token_, false);
                if (refusal.status == 401) parts_.tokens.refused(*token);
                if (!outdated) pause(opened.error(), refusal, stop);
                continue;
            }
            session = *token;
            fresh_token_ = true;
            if (connection_lost_) backoff_.reset();  // it was away and is back
            connection_lost_ = false;
            if (parts_.vital != nullptr) parts_.vital->good();
            parts_.subscribed(terms_);
            if (parts_.beside != nullptr) parts_.beside->online(true, "");
        }
        const Status polled = poll(*token, stop, refusal);
        if (polled) {
            if (failing_) log::info("link", "the factory is there again");
            if (failing_ && parts_.beside != nullptr) parts_.beside->online(true, "");
            failing_ = false;
            denied_.clear();
            backoff_.reset();
            if (parts_.vital != nullptr) parts_.vital->good();
            continue;
        }
        if (polled.error().code == Errc::cancelled) continue;  // nudged or stopped
        if (refusal.status == 401) {
            parts_.tokens.refused(*token);
            session.clear();
        }
        // After an outage the factory may be another process, which has to hear what is held here.
        if (is_retryable(polled.error())) session.clear();
        connection_lost_ = refusal.status == 0;
        if (refusal.status != 401) pause(polled.error(), refusal, stop);
    }
}

void Link::pause(const Error& error, const Refusal& refusal, std::stop_token stop)
{
    if (stop.stop_requested()) return;
    // Why it is not accepted may only be known by the second answer: the first one ended a parked poll.
    const bool news = !failing_ || (error.code == Errc::denied && error.what != denied_);
    if (!news) log::debug("link", "still not: {}", error.what);
    else if (error.code == Errc::denied) log::error("link", "the factory does not accept this agent, which goes on asking: {}", error.what);
    else log::warning("link", "no work can be asked for: {}", error.what);
    if (error.code == Errc::denied) denied_ = error.what;
    failing_ = true;
    if (parts_.vital != nullptr) parts_.vital->bad(error.what);
    if (parts_.beside != nullptr) parts_.beside->online(false, error.what);
    const Milliseconds time = backoff_.next(refusal);
    promise(time);
    parts_.tokens.pulse().wait(time, refusal, stop);
}

void Link::promise(Milliseconds time)
{
    if (parts_.vital != nullptr) parts_.vital->within(time + std::chrono::seconds(60));
}

Status Link::open_session(const std::string& token, std::stop_token stop, Refusal& refusal)
{
    const std::string challenge = to_base64(random_bytes(32));
    Json::Array held;
    for (const Journal::Held& item : parts_.journal.held()) {
        if (item.withheld) continue;   // the factory is told of it first
        Json entry = to_json(item.id);
        entry.set("acknowledged", item.acknowledged);
        held.push_back(std::move(entry));
    }
    Json facts = parts_.facts, knows = Json::array({"again"});
    Json session;
    if (parts_.beside != nullptr) {
        const Json of_person = parts_.beside->facts();
        for (const auto& [name, value] : of_person.as_object()) facts.set(name, value);
        session = of_person["session"];
        knows.push("person").push("consent");
    }
    Json body = Json::object({{"version", protocol::kVersion},
                                    {"must", Json::array()},
                                    {"knows", std::move(knows)},
                                    {"challenge", challenge},
                                    {"mode", std::string(protocol::name(parts_.identity.mode))},
                                    {"slots", parts_.desk.slots()},
                                    {"facts", std::move(facts)},
                                    {"held", Json(std::move(held))}});
    if (const auto last = parts_.journal.last_finished()) body.set("last", to_json(last->first).set("acknowledged", last->second));
    auto answer = parts_.factory.post_as(token, protocol::route::kSession, dump_json(body), std::chrono::seconds(20), stop, &refusal);
    if (!answer) return fail("session", std::move(answer.error()));
    const Json& said = *answer;
    if (!proves_key(parts_.identity, challenge, said)) return fail(not_the_factory(parts_.identity));
    {
        const std::scoped_lock lock(mutex_);
        session_said_ = std::move(session);
    }
    if (parts_.beside != nullptr) parts_.beside->new_session();
    // "Asking" that was cut off on its way would name the attempt, which would then not be offered again: it is said anew with the offer.
    for (OfferAnswer& each : parts_.desk.take_answers())
        if (each.answer != "asking") parts_.desk.answer(std::move(each));
    for (const Json& feature : said["must"].as_array())
        return fail(Errc::invalid, fmt::format("the factory demands '{}', which this agent does not know: update the agent", feature.as_string()));
    terms_ = {static_cast<std::uint64_t>(std::max<std::int64_t>(0, said["epoch"].as_integer())), period(said, "pollMs", terms_.poll),
              period(said, "leaseMs", terms_.lease), period(said, "renewMs", terms_.renew), said["approved"].as_bool(),
              said["state"].as_string()};
    if (!terms_.approved) log::warning("link", "this agent waits for an administrator's approval (millwright agents)");
    if (said["reportAgain"].as_bool()) {
        promise(kSession * 5);
        if (auto done = report_again(parts_.journal, parts_.factory, token, stop, refusal); !done) return done;
    }
    hear_revoked(said["revokedKeys"]);
    for (const Json& item : said["held"].as_array()) {
        auto id = protocol::parse_attempt_id(item);
        if (!id) return fail("session", std::move(id.error()));
        if (const std::int64_t sequence = item["acknowledged"].as_integer(); sequence > 0)
            if (auto done = parts_.journal.acknowledge(*id, static_cast<std::uint64_t>(sequence)); !done) return done;
        if (const std::string& standing = item["standing"].as_string(); standing == "stale" || standing == "final")
            parts_.tell(command::Drop{*id, "the factory says this attempt is " + standing});
    }
    return {};
}

Status Link::poll(const std::string& token, std::stop_token stop, Refusal& refusal)
{
    std::stop_source parked;
    const std::stop_callback with_all(stop, [&] { parked.request_stop(); });
    unsigned want = 0;
    std::vector<OfferAnswer> answers;
    std::optional<Milliseconds> rest;
    Json session;
    if (may_begin()) begin_granted();
    {
        const std::scoped_lock lock(mutex_);
        if (parts_.beside != nullptr) {
            if (may_begin()) return {};   // said this moment: at once again
            session = parts_.beside->session();
            if (session == session_said_) session = Json();
        }
        want = parts_.desk.free();
        rest = parts_.desk.resting();
        parked_rests_ = rest.has_value();
        answers = parts_.desk.take_answers();
        parked_ = parked;
        wanted_ = want;
        is_parked_ = true;
    }
    Json::Array said;
    for (const OfferAnswer& answer : answers) {
        Json entry = to_json(answer.id);
        entry.set("answer", answer.answer).set("why", answer.why);
        for (const auto& [name, value] : answer.more.as_object()) entry.set(name, value);
        said.push_back(std::move(entry));
    }
    Milliseconds limit = terms_.poll + std::chrono::seconds(15);
    if (rest && want == 0) limit = std::min(limit, *rest + Milliseconds(10));
    Json body = Json::object({{"want", want}, {"answers", Json(std::move(said))}});
    Json knows = Json::array();
    if (parts_.examine) knows.push("doctor");
    if (parts_.beside != nullptr) knows.push("person");
    if (parts_.files_version) {
        knows.push("files");
        body.set("files", parts_.files_version());
    }
    if (!knows.empty()) body.set("knows", std::move(knows));
    if (!session.is_null()) body.set("session", session);
    std::vector<std::string> heard;
    if (parts_.questions != nullptr) heard = parts_.questions->take_heard();
    Json::Array heard_words(heard.begin(), heard.end());
    if (!heard.empty()) body.set("heard", Json(std::move(heard_words)));
    if (parts_.interval) body.set("waitMs", 0).set("nextMs", parts_.interval->count());
    if (const std::string unable = want == 0 ? parts_.desk.unable() : std::string(); !unable.empty()) body.set("unable", unable);
    promise(limit * 2);  // a kept connection that died is followed by a second try
    auto answer = parts_.factory.post_as(token, protocol::route::kOffers, dump_json(body), limit, parked.get_token(), &refusal);
    {
        const std::scoped_lock lock(mutex_);
        is_parked_ = false;
        if (answer && !session.is_null()) session_said_ = std::move(session);
    }
    if (!answer) {
        // Said again with the next poll: an answer that arrived twice has the effect of one.
        for (OfferAnswer& item : answers) parts_.desk.answer(std::move(item));
        for (const std::string& question : heard) parts_.questions->heard(question);
        if (rest && answer.error().code == Errc::timeout) return {};
        return fail("offers", std::move(answer.error()));
    }
    on_answer(*answer);
    if (parts_.interval && (*answer)["offers"].empty() && (*answer)["cancels"].empty() && (*answer)["answered"].empty()) pass_interval(stop);
    return {};
}

/// Not subscribed: until the next poll is due, or there is something to say.
void Link::pass_interval(std::stop_token stop)
{
    std::stop_source resting;
    const std::stop_callback with_all(stop, [&] { resting.request_stop(); });
    {
        const std::scoped_lock lock(mutex_);
        if (parts_.desk.has_answers()) return;
        parked_ = resting;
        is_parked_ = true;
    }
    promise(*parts_.interval);
    parts_.clock.sleep(*parts_.interval, resting.get_token());
    const std::scoped_lock lock(mutex_);
    is_parked_ = false;
}

void Link::hear_revoked(const Json& list)
{
    if (const auto keys = read_revoked(list); !keys.empty() && parts_.revoked) parts_.revoked(keys);
}

void Link::on_answer(const Json& answer)
{
    hear_revoked(answer["revokedKeys"]);
    for (const Json& item : answer["cancels"].as_array())
        if (auto id = protocol::parse_attempt_id(item))
            parts_.tell(command::Cancel{*id, item["by"].as_string(), item["why"].as_string()});
    for (const Json& item : answer["answered"].as_array())
        if (auto id = protocol::parse_attempt_id(item)) parts_.tell(command::Answered{*id, item});
    for (const Json& item : answer["drop"].as_array())
        if (auto id = protocol::parse_attempt_id(item)) parts_.tell(command::Drop{*id, "the factory gave this attempt up"});
    if (const Json& files = answer["files"]; files.is_object() && parts_.watch_files) parts_.watch_files(files);
    if (const std::string& id = answer["doctor"]["id"].as_string(); !id.empty() && id.size() <= 100 && parts_.examine) parts_.examine(id);
    if (parts_.beside != nullptr && answer["person"].is_integer()) parts_.beside->has_news(answer["person"].as_integer());
    const unsigned before = nothing_new_;
    nothing_new_ = 0;
    bool all_known = !answer["offers"].empty() && answer["cancels"].empty();
    for (const Json& item : answer["offers"].as_array()) {
        const bool is_new = on_offer(item);
        all_known = all_known && !is_new;
    }
    if (!all_known) return;
    // An offer is repeated until its first event: while its package is fetched there is no use in asking at full speed. Nor is there when a factory that
    // does not know why brings again what its person declined.
    nothing_new_ = std::min(before + 1, 6U);
    parts_.clock.sleep(Milliseconds(5LL << nothing_new_), {});
}

bool Link::on_offer(const Json& json)
{
    auto id = protocol::parse_attempt_id(json);
    if (!id) {
        log::error("link", "an offer without a name: {}", id.error().what);
        return true;
    }
    if (parts_.desk.holds(*id)) {
        if (parts_.beside != nullptr) parts_.beside->hear_again(*id, json);
        return false;
    }
    if (parts_.journal.is_open(*id)) return true;  // its report is on the way
    if (parts_.journal.knows(*id)) {
        parts_.desk.answer({*id, "not_held", "it is known here and does not run"});
        return true;
    }
    auto offer = protocol::parse_offer(json);
    Holding holding{*id, json["repeatable"].as_bool(), period(json, "leaseMs", terms_.lease)};
    const SteadyTime end = lease_end(parts_.clock.steady(), holding.lease);
    if (!parts_.desk.take(std::move(holding))) {
        parts_.desk.answer({*id, "busy", "all slots are taken"});
        return true;
    }
    redact_in_log(json["attemptToken"].as_string());
    if (!offer || !ask_first(*offer, json)) {
        begin(*id, offer, json, end);
        return true;
    }
    return parts_.desk.holds(*id);
}

/// Beside a person, whatever the factory says of it: true when it waits for that person's word, or was declined. What the policy refuses nobody is asked
/// about, nor about the canary, which may do nothing and shows whether jobs run here.
bool Link::ask_first(const protocol::Offer& offer, const Json& json)
{
    if (parts_.beside == nullptr || offer.package_digest == protocol::kCanaryDigest || !parts_.policy.admit(offer)) return false;
    return parts_.beside->hear(offer, json) != Beside::Word::granted;
}

/// Whose word is there begins as soon as something may begin here at all: who paused meanwhile, or stopped everything, is not passed over.
bool Link::may_begin() const { return parts_.beside != nullptr && parts_.desk.unable().empty() && parts_.beside->may_begin(); }

/// Those that the person said yes to since.
void Link::begin_granted()
{
    for (const Json& json : parts_.beside->granted()) {
        auto id = protocol::parse_attempt_id(json);
        // When it was renewed last is not known: half of a lease is left at least, and the next renewal says more.
        if (id && parts_.desk.holds(*id)) begin(*id, protocol::parse_offer(json), json, parts_.clock.steady() + period(json, "leaseMs", terms_.lease) / 2);
    }
}

/// One that has its slot and, where a person is to be asked, that person's word.
void Link::begin(const protocol::AttemptId& id, const Result<protocol::Offer>& offer, const Json& json, SteadyTime end)
{
    parts_.tell(command::Take{id, dump_json(json)});
    const auto end_it = [&](const std::string& why, Json evidence = Json()) {
        log::warning("link", "{}: refused: {}", id.key(), why);
        parts_.tell(command::End{id, {protocol::JobState::failed, protocol::Reason::refused, why, std::move(evidence)}});
    };
    if (!offer) return end_it("this agent does not understand the offer: " + offer.error().what);
    auto grants = parts_.policy.admit(*offer);
    if (!grants) {
        Json evidence = Json::object({{"withheld", parts_.policy.withheld_from(*offer)}});
        if (!offer->signatures.empty()) evidence.set("signatures", parts_.policy.signers_of(*offer));
        return end_it(grants.error().what, std::move(evidence));
    }
    const std::optional<SteadyTime> lease = offer->repeatable ? std::optional(end) : std::nullopt;
    if (!parts_.fetches.try_send({*offer, std::move(*grants), lease})) parts_.tell(command::GiveBack{id, "too many packages are being fetched"});
}

void Link::again()
{
    const std::scoped_lock lock(mutex_);
    if (is_parked_) parked_.request_stop();
    parts_.tokens.pulse().beat();
}

void Link::nudge()
{
    const std::scoped_lock lock(mutex_);
    if (!is_parked_) return;
    // A rest that began meanwhile ends by itself, and then the factory has to be asked.
    if ((wanted_ == 0 && (parts_.desk.free() > 0 || (!parked_rests_ && parts_.desk.resting()))) || (wanted_ > 0 && !parts_.desk.unable().empty()) || parts_.desk.has_answers() ||
        (parts_.questions != nullptr && parts_.questions->has_heard()) ||
        may_begin() || (parts_.beside != nullptr && !(parts_.beside->session() == session_said_)))
        parked_.request_stop();
}

}  // namespace mill::agent
