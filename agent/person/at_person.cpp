#include "agent/person/at_person.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "agent/person/refusals.h"
#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::agent {
namespace {

constexpr std::string_view kPerson = "/agent/v1/person", kAnswer = "/agent/v1/person/answer", kCancel = "/agent/v1/person/cancel";

/// What can be used when the factory is away; the jobs of before are shown, too.
bool same_but_for_jobs(const Json& a, const Json& b) { return a["user"] == b["user"] && a["launchable"] == b["launchable"]; }

}  // namespace

AtPerson::AtPerson(Parts parts) : parts_(std::move(parts)), consents_(parts_.folder + "/consents.json", parts_.rules, parts_.clock), launches_(parts_.folder + "/launches.json", parts_.clock) { load(); }

void AtPerson::load()
{
    auto text = platform::read_file(parts_.folder + "/person.json", 16 * 1024 * 1024);
    if (!text) return;
    if (auto json = parse_json(*text); json && json->is_object()) view_ = std::move(*json);
    view_.set("questions", Json::array());   // who may have answered them since, nobody here knows
    seen_ = seen_kept_ = parse_time(view_["seen"].as_string()).value_or(WallTime{});
}

void AtPerson::look() { (void)errands_.try_send({}); }

void AtPerson::run(FactoryClient& factory, Vitals::Loop& vital, std::stop_token stop)
{
    Backoff backoff;
    std::optional<SteadyTime> again;   // after a failure
    while (!stop.stop_requested()) {
        vital.idle();
        std::optional<Errand> errand;
        if (const auto wait = wait_time(again)) errand = errands_.receive_for(*wait, stop);
        else errand = errands_.receive(stop);
        if (stop.stop_requested()) break;
        vital.within(kVital);
        expire();
        if (errand && !errand->route.empty()) do_errand(std::move(*errand), factory, stop);
        if (again && parts_.clock.steady() < *again) continue;
        again.reset();
        Refusal refusal;
        Status done;
        if (is_online() && wants_fetch()) done = fetch(factory, stop, refusal);
        if (done && is_online()) done = tell_of_begun(factory, vital, stop, refusal);
        if (done && is_online()) done = hand_over(factory, vital, stop, refusal);
        if (is_online()) keep_view(false);
        if (done) {
            vital.good();
            backoff.reset();
        } else {
            vital.bad(done.error().what);
            again = parts_.clock.steady() + backoff.next(refusal);
        }
    }
    for (Errand& left : errands_.drain())
        if (left.tell) left.tell(told_no(503, "stopping", "the agent is stopping"));
}

bool AtPerson::wants_fetch() const
{
    const std::scoped_lock lock(mutex_);
    return stale_ && known_;
}

std::optional<Milliseconds> AtPerson::wait_time(std::optional<SteadyTime> again) const
{
    std::optional<Microseconds> out;
    if (const auto next = consents_.next()) out = *next - parts_.clock.now();
    if (again && is_online()) out = std::min(out.value_or(Microseconds::max()), *again - parts_.clock.steady());
    if (parts_.here != nullptr && is_online()) {
        const std::scoped_lock lock(mutex_);
        if (parts_.clock.steady() < tell_until_) out = std::min<Microseconds>(out.value_or(Microseconds::max()), kTellPause);
    }
    if (parts_.here != nullptr && is_online()) out = std::min<Microseconds>(out.value_or(Microseconds::max()), kSeenKept);
    if (!out) return std::nullopt;
    return std::clamp(std::chrono::ceil<Milliseconds>(*out), Milliseconds(0), Milliseconds(3'600'000));
}

Status AtPerson::fetch(FactoryClient& factory, std::stop_token stop, Refusal& refusal)
{
    {
        const std::scoped_lock lock(mutex_);
        stale_ = false;   // news that come from here on are news again
    }
    auto said = factory.post(kPerson, "{}", kAnswerTime, stop, &refusal);
    {
        const std::scoped_lock lock(mutex_);
        if (!said && refusal.status == 404) known_ = false;
        else if (!said && is_away(refusal)) stale_ = true;
        else if (!said) view_ = Json::object({});   // this agent has nobody beside it, says the factory
    }
    if (!said && refusal.status == 404) {
        log::info("person", "the factory is an older one: it lets nobody start anything from here");
        return {};
    }
    if (!said && !is_away(refusal)) {
        log::info("person", "the factory shows nothing to the person here: {}", said.error().what);
        (void)platform::write_file(parts_.folder + "/person.json", "{}\n", 0600);
        parts_.changes.bump();
        return {};
    }
    if (!said) return fail(std::move(said.error()));
    bool keep = false, new_facts = false;
    {
        const std::scoped_lock lock(mutex_);
        keep = !same_but_for_jobs(view_, *said);
        new_facts = !(view_ == *said);
        view_ = *said;
        news_ = std::max(news_, (*said)["version"].as_integer());
    }
    keep_view(keep);
    if (new_facts) parts_.changes.bump();
    return {};
}

Status AtPerson::hand_over(FactoryClient& factory, Vitals::Loop& vital, std::stop_token stop, Refusal& refusal)
{
    while (const auto launch = launches_.front(user())) {
        vital.within(kVital);
        refusal = {};
        launches_.expect(*launch);
        auto said = factory.post(kLaunch, dump_json(Json::object({{"id", launch->id}, {"trigger", launch->trigger}, {"input", launch->input}})), kAnswerTime, stop, &refusal);
        if (said) launches_.handed_over(launch->id, (*said)["job"].as_string());
        else if (is_away(refusal)) return fail(std::move(said.error()));
        else launches_.refused(launch->id, refusal_words(said.error(), refusal).body["detail"].as_string());
        if (!said) log::warning("person", "what was started here while the factory was away is refused: {}: {}", launch->trigger, said.error().what);
        parts_.changes.bump();
    }
    return {};
}

void AtPerson::do_errand(Errand errand, FactoryClient& factory, std::stop_token stop)
{
    Refusal refusal;
    auto said = factory.post(errand.route, dump_json(errand.body), kAnswerTime, stop, &refusal);
    if (said && errand.launch) {
        launches_.has(errand.launch->id, (*said)["job"].as_string());
        errand.tell({200, Json::object({{"job", (*said)["job"]}, {"queued", false}})});
    } else if (said) {
        errand.tell({200, Json::object({})});
    } else if (errand.launch && is_away(refusal)) {
        errand.tell(keep(std::move(*errand.launch)));
    } else {
        if (errand.launch) launches_.forget(errand.launch->id);
        errand.tell(refusal_words(said.error(), refusal));
    }
    if (!said) return;
    parts_.changes.bump();
    const std::scoped_lock lock(mutex_);
    stale_ = true;   // seen at once, also when the factory's word is slow
}

Told AtPerson::keep(Launch launch)
{
    const std::string id = launch.id;
    if (auto kept = launches_.add(std::move(launch)); !kept) return kept.error().code == Errc::conflict ? told_no(409, "too_many", kept.error().what) : told_no(503, "not_kept", kept.error().what);
    parts_.changes.bump();
    return {200, Json::object({{"job", Json()}, {"launch", id}, {"queued", true}})};
}

void AtPerson::launch(Launch launch, Tell tell)
{
    if (!may_launch(launch.trigger)) return tell(told_no(404, "unknown", fmt::format("there is no '{}' that may be started here", launch.trigger.substr(0, 200))));
    if (const std::string job = launches_.job_of(launch.id); !job.empty()) return tell({200, Json::object({{"job", job}, {"queued", false}})});   // pressed twice
    launch.title = title_of(launch.trigger);
    launch.user = user();
    if (!is_online()) return tell(begin_or_keep(std::move(launch)));
    launches_.expect(launch);   // before it is said: it may be offered before it is answered
    Json body = Json::object({{"id", launch.id}, {"trigger", launch.trigger}, {"input", launch.input}});
    const Tell told = tell;
    const std::string id = launch.id;
    if (errands_.try_send({std::string(kLaunch), std::move(body), std::move(launch), std::move(tell)})) return;
    launches_.forget(id);
    told(told_no(503, "too_many", "the agent is busy: try again"));
}

void AtPerson::answer(std::string question, Json answer, std::string comment, Tell tell)
{
    std::string why;
    if (!is_online(&why)) return tell(told_no(503, "factory_away", fmt::format("the factory is away, and takes no answer now: {}", why)));
    Json body = Json::object({{"question", std::move(question)}, {"answer", std::move(answer)}, {"comment", std::move(comment)}});
    const Tell told = tell;
    if (!errands_.try_send({std::string(kAnswer), std::move(body), {}, std::move(tell)})) told(told_no(503, "too_many", "the agent is busy: try again"));
}

void AtPerson::cancel(std::string job, std::string why, Tell tell)
{
    std::string away;
    if (!is_online(&away)) return tell(told_no(503, "factory_away", fmt::format("this job does not run here, and the factory is away: {}", away)));
    Json body = Json::object({{"job", std::move(job)}, {"why", std::move(why)}});
    const Tell told = tell;
    if (!errands_.try_send({std::string(kCancel), std::move(body), {}, std::move(tell)})) told(told_no(503, "too_many", "the agent is busy: try again"));
}

Beside::Word AtPerson::hear(const protocol::Offer& offer, const Json& said)
{
    if (!said["consent"].is_object() && launches_.is_own(offer.launch, offer.trigger, offer.id.job, mark_of(offer))) return Word::granted;
    // An agent that is nobody's does as the factory says, unless this machine's owner said how it is to be.
    if (!said["consent"].is_object() && user().empty() && !parts_.rules.stated) return Word::granted;
    const auto verdict = consents_.hear(offer, said);
    const Json until = verdict.until ? Json(format_time(*verdict.until)) : Json();
    if (verdict.word == Word::granted) {
        if (said["consent"].is_object()) parts_.desk.answer({offer.id, "consented", "", Json::object({{"by", verdict.by}, {"choice", verdict.choice}})});
    } else if (verdict.word == Word::declined) {
        decline(offer.id, verdict.why, verdict.choice, verdict.by, until);
    } else {
        say_asking(offer.id, verdict, said);
    }
    return verdict.word;
}

/// A factory that does not say that it waits for a person's word knows no such answer: it is of before, or of the opinion that nobody is to be asked.
void AtPerson::say_asking(const protocol::AttemptId& id, const Consents::Verdict& verdict, const Json& said)
{
    const Json until(format_time(*verdict.until));
    log::info("person", "{}: asked whether it may run, until {}", id.key(), until.as_string());
    if (said["consent"].is_object()) parts_.desk.answer({id, "asking", "", Json::object({{"until", until}})});
    parts_.changes.bump();
    look();   // its time is to be watched
}

void AtPerson::hear_again(const protocol::AttemptId& id, const Json& said)
{
    const auto verdict = consents_.refresh(id, said);
    if (!verdict) return;
    if (verdict->word == Word::asking) say_asking(id, *verdict, said);
    if (verdict->word == Word::declined) decline(id, verdict->why, verdict->choice, verdict->by, Json(format_time(*verdict->until)));
}

std::vector<Json> AtPerson::granted()
{
    std::vector<Json> out;
    for (Consents::Granted& each : consents_.granted()) {
        if (each.offer["consent"].is_object()) parts_.desk.answer({each.id, "consented", "", Json::object({{"by", each.by}, {"choice", "now"}})});
        out.push_back(std::move(each.offer));
    }
    return out;
}

void AtPerson::decline(const protocol::AttemptId& id, const std::string& why, const std::string& choice, const std::string& by, const Json& until)
{
    parts_.desk.release(id);
    parts_.desk.answer({id, "busy", why, Json::object({{"consent", Json::object({{"choice", choice}, {"by", by}, {"until", until}})}})});
}

std::optional<Json> AtPerson::withdrawn(const protocol::AttemptId& id)
{
    auto out = consents_.withdrawn(id);
    if (out) parts_.changes.bump();
    return out;
}

/// The factory hears of it, and the slot is free unless the job begins.
void AtPerson::settle(const Consents::Settled& settled)
{
    log::info("person", "{}: {}", settled.id.key(), words_of_choice(settled.choice, settled.by));
    parts_.changes.bump();
    if (!settled.waited_for) return;   // told when it is offered again
    if (settled.choice == "now") return parts_.desk.stir();   // answered when it begins: one that is answered is not offered again
    decline(settled.id, words_of_choice(settled.choice, settled.by), settled.choice, settled.by, Json(format_time(settled.until)));
}

void AtPerson::postpone(const std::string& by)
{
    for (const auto& settled : consents_.postpone(by)) settle(settled);
}

void AtPerson::expire()
{
    for (const auto& settled : consents_.expire()) settle(settled);
}

Told AtPerson::choose(const std::string& consent, const std::string& choice, const std::string& by)
{
    auto settled = consents_.choose(consent, choice, by);
    if (settled) {
        settle(*settled);
        return {200, Json::object({{"choice", choice}, {"until", choice == "now" ? Json() : Json(format_time(settled->until))}})};
    }
    const std::string& why = settled.error().what;
    switch (settled.error().code) {
    case Errc::not_found: return told_no(404, "expired", why);
    case Errc::conflict: return told_no(409, "answered", why);
    case Errc::timeout: return told_no(410, "expired", why);
    case Errc::invalid: return told_no(400, "invalid_request", why);
    default: return told_no(503, "not_kept", why);
    }
}

void AtPerson::has_news(std::int64_t version)
{
    {
        const std::scoped_lock lock(mutex_);
        if (version == news_ && !stale_) return;
        news_ = version;
        stale_ = true;
    }
    look();
}

void AtPerson::online(bool is, const std::string& why)
{
    {
        const std::scoped_lock lock(mutex_);
        if (is) stale_ = known_ = true;   // a newer factory may know more than the one before
        const bool same = online_ == is && offline_why_ == why;
        online_ = is;
        offline_why_ = why;
        if (same && !is) return;
    }
    parts_.changes.bump();
    look();
}

bool AtPerson::is_online(std::string* why) const
{
    const std::scoped_lock lock(mutex_);
    if (why != nullptr) *why = offline_why_;
    return online_;
}

std::string AtPerson::user() const
{
    const std::scoped_lock lock(mutex_);
    return view_["user"].as_string();
}

std::string AtPerson::title_of(const std::string& trigger) const
{
    const std::scoped_lock lock(mutex_);
    for (const Json& item : view_["launchable"].as_array())
        if (item["trigger"].as_string() == trigger) return item["title"].as_string();
    return {};
}

bool AtPerson::may_launch(const std::string& trigger) const
{
    const std::scoped_lock lock(mutex_);
    const auto& all = view_["launchable"].as_array();
    return std::any_of(all.begin(), all.end(), [&](const Json& item) { return item["trigger"].as_string() == trigger; });
}

bool AtPerson::asks(const std::string& question) const
{
    const std::scoped_lock lock(mutex_);
    const auto& all = view_["questions"].as_array();
    return std::any_of(all.begin(), all.end(), [&](const Json& item) { return item["id"].as_string() == question; });
}

Json AtPerson::view() const
{
    const std::scoped_lock lock(mutex_);
    Json launchable = Json::array();
    for (Json item : view_["launchable"].as_array()) {
        item.set("offline", !terms_locked(item).is_null()).set("unavailable", item["paused"].as_string());
        item.erase("offer");   // the factory's word to this agent, and nobody else's
        launchable.push(std::move(item));
    }
    Json out = Json::object({{"user", view_["user"].as_string()}, {"launchable", std::move(launchable)}});
    for (const char* list : {"questions", "jobs"}) out.set(list, view_[list].is_array() ? view_[list] : Json::array());
    return out;
}

}  // namespace mill::agent
