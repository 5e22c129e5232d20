// While the factory is away: what may begin here, and what is said of it afterwards.
#include <utility>

#include <fmt/format.h>

#include "agent/person/at_person.h"
#include "agent/person/refusals.h"
#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::agent {

/// On the disk: what may be started, and how fresh that is.
void AtPerson::keep_view(bool changed)
{
    Json view;
    {
        const std::scoped_lock lock(mutex_);
        if (online_) seen_ = parts_.clock.now();
        if (!changed && (parts_.here == nullptr || seen_ - seen_kept_ < kSeenKept || view_["launchable"].empty())) return;
        seen_kept_ = seen_;
        view = view_;
    }
    view.set("seen", format_time(seen_kept_));
    if (auto saved = platform::write_file(parts_.folder + "/person.json", dump_json(view) + "\n", 0600); !saved) log::warning("person", "what may be started is not kept: {}", saved.error().what);
}

/// What began here meanwhile: the factory makes its job of it, under the name that it has here.
Status AtPerson::tell_of_begun(FactoryClient& factory, Vitals::Loop& vital, std::stop_token stop, Refusal& refusal)
{
    if (parts_.here == nullptr) return {};
    for (const Json& offer : parts_.here->begun()) {
        vital.within(kVital);
        refusal = {};
        const auto id = protocol::parse_attempt_id(offer);
        if (!id) continue;
        Json begun = to_json(*id).set("terms", offer["terms"]).set("asked", offer["asked"]);
        auto said = factory.post(kLaunch, dump_json(Json::object({{"id", offer["launch"]}, {"trigger", offer["trigger"]}, {"input", offer["input"]}, {"begun", std::move(begun)}})), kAnswerTime, stop, &refusal);
        // What something between here and the factory says is no word of it, nor is that of one which knows no such call.
        if (!said && (is_away(refusal) || !refusal.problem || refusal.name == "unknown_route")) return fail(std::move(said.error()));
        if (said && (*said)["job"].as_string() == id->job) {
            parts_.here->is_known(*id);
            log::info("person", "{}: the factory knows of it", id->key());
        } else {
            const std::string why = said ? "it has another job of that start" : refusal_words(said.error(), refusal).body["detail"].as_string();
            log::warning("person", "{}: what ran here while the factory was away is refused: {}: {}", id->key(), offer["trigger"].as_string(), why);
            launches_.lost(id->job, offer["title"].as_string(), fmt::format("it began here while the factory was away, and the factory does not take it: {}", why));
            parts_.here->refuse(*id, why);
        }
        parts_.changes.bump();
    }
    return {};
}

/// What needs nothing of the factory begins; the rest waits for it.
Told AtPerson::begin_or_keep(Launch launch)
{
    if (launches_.is_said(launch.id)) return keep(std::move(launch));   // the factory may have a job of it already
    Json terms, schema;
    {
        const std::scoped_lock lock(mutex_);
        for (const Json& item : view_["launchable"].as_array())
            if (item["trigger"].as_string() == launch.trigger) {
                terms = terms_locked(item);
                schema = item["schema"];
            }
    }
    if (terms.is_null()) return keep(std::move(launch));
    launches_.expect(launch);
    const auto job = parts_.here->begin(launch, terms, schema);
    if (!job) {
        launches_.forget(launch.id);
        log::warning("person", "{} waits for the factory: {}", launch.trigger, job.error().what);
        return keep(std::move(launch));
    }
    launches_.has(launch.id, *job);
    parts_.changes.bump();
    {
        const std::scoped_lock lock(mutex_);
        tell_until_ = parts_.clock.steady() + kTellSoon;   // the factory may be back this moment
    }
    look();
    return {200, Json::object({{"job", *job}, {"queued", false}})};
}

/// It waits for the factory, as it would have without terms.
void AtPerson::lost(const protocol::AttemptId& id, const std::string& why)
{
    for (const Json& offer : parts_.here->begun()) {
        if (offer["job"].as_string() != id.job) continue;
        const auto asked = parse_time(offer["asked"].as_string());
        const auto kept = launches_.add({offer["launch"].as_string(), offer["trigger"].as_string(), offer["title"].as_string(), offer["given"], asked.value_or(parts_.clock.now()), user()});
        if (kept) launches_.forget(offer["launch"].as_string());
        else launches_.lost(id.job, offer["title"].as_string(), fmt::format("it began here while the factory was away, and came to nothing: {}; {}", why, kept.error().what));
        log::warning("person", "{}: {}; {}", id.key(), why, kept ? "it waits for the factory" : kept.error().what);
        return parts_.changes.bump();
    }
    launches_.lost(id.job, {}, fmt::format("it began here while the factory was away, and came to nothing: {}", why));
    parts_.changes.bump();
}

Json AtPerson::terms_locked(const Json& item) const
{
    const Json& terms = item["offer"];
    if (parts_.here == nullptr || !terms.is_object() || !item["paused"].as_string().empty()) return {};
    const Microseconds age = parts_.clock.now() - seen_;   // far below 0: a clock that was put back
    const bool fresh = online_ || (age < kTermsHold && age > -kSeenKept);
    return fresh && parts_.here->has_package(terms["package"]["digest"].as_string()) ? terms : Json();
}

}  // namespace mill::agent
