// A job of somebody else beside a person: the agent asks, the person says now, later or not today, or does not answer. The factory keeps what was
// said, gives the job to another agent that may have it, and asks there no more until the time that was said.
#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "factory/core/core_impl.h"

namespace mill::factory::core {
namespace {

using Word = OfferAnswer::Consent::Word;

constexpr Milliseconds kShortest{5'000}, kUsual{600'000}, kLongest = std::chrono::hours(24 * 7);   // that an agent is not asked again
constexpr std::size_t kLooked = 20;   // jobs whose time says how long the next one takes

std::string spoken(const std::string& choice)
{
    if (choice == "not_today") return "not today";
    return choice.substr(0, 40);
}

/// The middle of the times of its last successful jobs, in milliseconds; null: there are none.
Json expected(Reader& read, const std::string& trigger)
{
    JobQuery query;
    query.trigger = trigger;
    query.limit = kLooked;
    const auto jobs = read.jobs(query);
    std::vector<std::int64_t> times;
    if (jobs)
        for (const JobRecord& job : jobs->items)
            if (job.state == protocol::JobState::successful && job.started && job.ended) times.push_back((*job.ended - *job.started).count() / 1000);
    if (times.empty()) return {};
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    return *middle;
}

/// An agent says it until it was heard: the timeline has it once.
bool told_before(Reader& read, const std::string& job, std::string_view what, std::uint32_t attempt)
{
    const auto rows = read.timeline(job);
    return rows && std::any_of(rows->begin(), rows->end(), [&](const TimelineRow& row) { return row.what == what && row.attempt == attempt; });
}

}  // namespace

std::string_view CoreImpl::consent_code(const std::string& choice) { return choice == "later" ? "consent_later" : choice == "none" ? "consent_none" : "consent_refused"; }

bool CoreImpl::asks_first(const Agent& agent, const KnownBinding& known) const
{
    return agent.record.mode == protocol::AgentMode::attended && !agent.record.user.empty() && agent.record.facts["consent"].as_bool() && !known.needs.is_own();
}

Result<Json> CoreImpl::consent_of(const Active& active)
{
    Reader& read = writer_.read();
    const auto job = read.job(active.uid);
    if (!job) return fail(job.error());
    const Binding& b = active.binding->binding;
    const auto trigger = read.document("Trigger", b.trigger);
    const auto package = read.package(b.package_name, b.package_version);
    const auto words = [&](const char* member) {
        if (trigger && trigger->spec[member].is_string()) return trigger->spec[member].as_string();
        return package ? package->manifest[member].as_string() : std::string();
    };
    std::string title = words("title");
    if (title.empty()) title = b.trigger;
    return Json::object({{"asker", job->requested_by}, {"trigger", b.trigger}, {"title", title}, {"description", words("description")}, {"expectedMs", expected(read, b.trigger)}});
}

std::string CoreImpl::refusal_words(const Agent& agent, const Writer::KeptRefusal& refusal) const
{
    const std::string& name = agent.record.name;
    const std::string next = fmt::format("not asked again before {}", clock_text(refusal.until));
    if (refusal.choice == "none") return fmt::format("{} was asked at {} and did not answer: {}", agent.record.user, name, next);
    return fmt::format("{} said '{}' at {} at {}: {}", refusal.who, spoken(refusal.choice), name, clock_text(refusal.said), next);
}

const Writer::KeptRefusal* CoreImpl::refusal_of(const KnownBinding& known, const Agent& agent) const
{
    if (known.needs.is_own()) return nullptr;
    const auto found = agent.refusals.find(known.binding.trigger);
    return found == agent.refusals.end() ? nullptr : &found->second;
}

Status CoreImpl::hear_consent(Agent& agent, Active& active, const OfferAnswer& said)
{
    const OfferAnswer::Consent& consent = *said.consent;
    const std::string &name = agent.record.name, &user = agent.record.user;
    const WallTime now = clock_.now();
    if (consent.word == Word::given) {
        active.asking.reset();
        if (std::exchange(active.consented, true) || told_before(writer_.read(), active.uid, "consent_given", active.attempt)) return {};
        return job_line(active.job, "consent_given", now, active.attempt, name, {}, Json::object({{"by", user}, {"choice", "now"}, {"text", fmt::format("{} let it run at {}", user, name)}}));
    }
    if (active.state != protocol::JobState::assigned) return {};   // it has said that it started: too late for this
    const WallTime until = std::clamp(consent.until.value_or(now + kUsual), now + kShortest, now + kLongest);
    if (consent.word == Word::asking) {
        active.renewed = clock_.steady();
        active.heard = now;
        const bool again = active.asking.has_value();
        active.asking = until;
        if (again || told_before(writer_.read(), active.uid, "consent_asked", active.attempt)) return {};
        return job_line(active.job, "consent_asked", now, active.attempt, name, {},
                        Json::object({{"by", user}, {"until", format_time(until)}, {"text", fmt::format("{} is asked at {}, until {}", user, name, clock_text(until))}}));
    }
    const std::string choice = consent.choice.empty() ? std::string("none") : consent.choice.substr(0, 40);
    Writer::KeptRefusal refusal{agent.key, active.binding->binding.trigger, choice, choice == "none" ? std::string() : user, now, until};
    if (auto ok = writer_.put_refusal(refusal); !ok) return ok;
    std::string text = refusal_words(agent, refusal);
    const Json detail = Json::object({{"by", refusal.who}, {"choice", refusal.choice}, {"until", format_time(until)}, {"text", text}});
    const std::string code(consent_code(refusal.choice));
    agent.refusals.insert_or_assign(refusal.trigger, std::move(refusal));
    show_refusals(agent);
    return back_to_ready(active, code, said.why, detail);
}

/// What another said there is not this one's word.
Status CoreImpl::user_changed(Agent& agent)
{
    if (auto ok = writer_.forget_refusals(agent.key, WallTime{std::numeric_limits<std::int64_t>::max()}); !ok) return ok;
    agent.refusals.clear();
    show_refusals(agent);
    agent.fetched = agent.told = 0;
    news_for(agent);
    return {};
}

void CoreImpl::show_refusals(Agent& agent)
{
    std::set<std::string> triggers;
    for (const auto& [trigger, refusal] : agent.refusals) triggers.insert(trigger);
    board_.refuse(agent.key, std::move(triggers));
    waiting_texts_.clear();
}

Status CoreImpl::load_refusals()
{
    auto kept = writer_.refusals();
    if (!kept) return fail(kept.error());
    for (Writer::KeptRefusal& one : *kept)
        if (const auto agent = agents_.find(one.agent); agent != agents_.end()) agent->second.refusals.insert_or_assign(one.trigger, std::move(one));
    for (auto& [key, agent] : agents_)
        if (!agent.refusals.empty()) show_refusals(agent);
    return {};
}

Status CoreImpl::tick_refusals(Agent& agent, WallTime now)
{
    if (std::none_of(agent.refusals.begin(), agent.refusals.end(), [&](const auto& one) { return one.second.until <= now; })) return {};
    if (auto ok = writer_.forget_refusals(agent.key, now); !ok) return ok;
    std::erase_if(agent.refusals, [&](const auto& one) { return one.second.until <= now; });
    show_refusals(agent);
    return {};
}

}  // namespace mill::factory::core
