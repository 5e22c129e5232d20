// An agent of a person: what that person may see of it, and starts there. What they may start and are asked is the API's to find out.
#include <fmt/format.h>

#include "factory/core/core_impl.h"

namespace mill::factory::core {
namespace {

constexpr Milliseconds kNewsAgain{10'000};   // the poll's answer that carried it may have been lost
constexpr std::size_t kLongestLaunch = 100;

}  // namespace

void CoreImpl::news_for(Agent& agent)
{
    if (agent.record.user.empty()) return;
    agent.news = ++last_news_;
    if (agent.parked && agent.knows_person) stirred_.insert(agent.key);
}

void CoreImpl::news_for_people(const std::string& user)
{
    for (auto& [key, agent] : agents_)
        if (user.empty() || agent.record.user == user) news_for(agent);
}

std::uint64_t CoreImpl::news_due(Agent& agent)
{
    if (!agent.knows_person || agent.record.user.empty()) return 0;
    if (agent.news == 0) agent.news = ++last_news_;
    const SteadyTime now = clock_.steady();
    if (agent.news == agent.fetched || (agent.news == agent.told && now - agent.told_at < kNewsAgain)) return 0;
    agent.told = agent.news;
    agent.told_at = now;
    return agent.news;
}

void CoreImpl::person(std::string id, Done<std::uint64_t> done)
{
    queue_.submit<std::uint64_t>(std::move(done), [this, id = std::move(id)]() -> Result<std::uint64_t> {
        const auto found = agent_by_id(id);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        if (agent.record.user.empty())
            return fail(Errc::denied, fmt::format("agent '{0}' is nobody's: an administrator says whose it is (`millwright agents set {0} --user NAME`)", agent.record.name));
        if (agent.news == 0) agent.news = ++last_news_;
        agent.fetched = agent.news;
        return agent.news;
    });
}

/// Of a deployment on trial the new version is for the group's agents alone, as for jobs that nobody bound to one.
Result<BindingRef> CoreImpl::binding_for_launch(const std::string& trigger, const Agent& agent)
{
    BindingWish wish;
    wish.bound = agent.record.id;
    auto current = binding_of_trigger(trigger, wish);
    if (!current) return current;
    const auto found = trials_.find((*current)->binding.deployment);
    if (found == trials_.end()) return current;
    if (found->second.trial.succeeded + found->second.under_way.size() < found->second.trial.jobs) {
        wish.version = Version::tried;
        auto tried = binding_of_trigger(trigger, wish);
        if (!tried && tried.error().code != Errc::conflict) return tried;
        if (tried && dispatch::preference((*tried)->needs, board_.environment((*tried)->needs.environment), agent.record)) return tried;
    }
    wish.version = Version::before;
    return binding_of_trigger(trigger, wish);
}

/// What was started at a desktop is for that desktop again; but whoever retries it is not its user sitting there, so the user is asked.
Result<BindingRef> CoreImpl::binding_for_retry(const BindingRef& old, const std::string& trigger, bool same_version)
{
    if (!old->needs.bound && same_version) return old;
    if (!old->needs.bound && old->needs.pinned) {   // the file is there, and perhaps nowhere else
        BindingWish wish;
        wish.agent = old->needs.agent;
        return binding_of_trigger(trigger, wish);
    }
    if (!old->needs.bound) return binding_for_job(trigger);
    const dispatch::Needs::Bound& bound = *old->needs.bound;
    if (!agent_ids_.contains(bound.agent)) return fail(Errc::conflict, fmt::format("the job was bound to agent '{}', which is not there any more: start trigger '{}' anew", bound.name, trigger));
    if (!same_version) {
        BindingWish wish;
        wish.bound = bound.agent;
        wish.pushed = true;
        return binding_of_trigger(trigger, wish);
    }
    if (bound.pushed) return old;
    Binding pushed = old->binding;
    pushed.key += ":pushed";
    Json said = pushed.rules["bound"];
    pushed.rules.set("bound", said.set("pushed", true));
    const auto id = writer_.put_binding(pushed);
    if (!id) return fail(id.error());
    return known_binding(*id);
}

Result<Accepted> CoreImpl::launch(const RunRequest& run, const Who& who, NewJob job)
{
    const auto found = agent_by_id(run.launch_agent);
    if (!found) return fail(found.error());
    Agent& agent = **found;
    const std::string user = agent.record.user;
    if (user.empty() || who.name != "user " + user) return fail(Errc::denied, fmt::format("agent '{}' is not the agent of {}", agent.record.name, who.name));
    if (run.launch.empty() || run.launch.size() > kLongestLaunch) return fail(Errc::invalid, fmt::format("the id of a start must have 1 to {} bytes", kLongestLaunch));
    if (const auto known = writer_.launched(agent.key, user, run.launch); known) {
        auto record = writer_.read().job(*known);
        if (!record) return fail(record.error());
        return Accepted{.job = std::move(*record), .repeated = true, .waiting_for = {}};
    } else if (known.error().code != Errc::not_found) {
        return fail(known.error());
    }
    if (run.begun) return begun(run, who, agent, std::move(job));
    const auto binding = binding_for_launch(run.trigger, agent);
    if (!binding) return fail(binding.error());
    const dispatch::Needs& needs = (*binding)->needs;
    // It would wait for nothing else: what does not pass by itself is said at once.
    for (const dispatch::Lack& lack : dispatch::lacks(needs, board_.environment(needs.environment), agent.record))
        if (!dispatch::is_passing(lack) && lack.code != "agent_paused")
            return fail(Errc::conflict, fmt::format("it cannot run here: {}{}", lack.text, lack.command.empty() ? "" : fmt::format(" (`{}`)", lack.command)));
    const Binding& b = (*binding)->binding;
    if (const std::string refused = refusal_by(agent, b.package_name, b.package_version, b.package_digest); !refused.empty())
        return fail(Errc::conflict, fmt::format("it cannot run here: this machine would refuse it: {}", refused));
    job.priority = b.rules["priority"].is_integer() ? static_cast<int>(b.rules["priority"].as_integer()) : 50;
    if (const auto usual = parse_duration(b.rules["expiration"].as_string()); usual) job.expires = clock_.now() + *usual;
    auto accepted = make_job(*binding, std::move(job), run.input);
    if (!accepted) return accepted;
    const auto key = writer_.job_key(accepted->job.uid);
    if (!key) return fail(Errc::internal, key.error().what);
    if (auto ok = writer_.put_person_job(agent.key, *key, user, run.launch); !ok) return fail(Errc::internal, ok.error().what);
    news_for(agent);
    return accepted;
}

/// "bound to pc-anna, which is offline since 14:02".
std::string CoreImpl::bound_words(const dispatch::Needs::Bound& bound) const
{
    const auto found = agent_ids_.find(bound.agent);
    const std::string start = fmt::format("bound to {}", bound.name);
    if (found == agent_ids_.end()) return start + ", which is not there any more";
    const Agent& agent = agents_.at(found->second);
    if (!agent.online && agent.record.offline_since) return fmt::format("{}, which is offline since {}", start, clock_text(*agent.record.offline_since));
    if (!agent.online) return start + ", which has not been seen yet";
    return fmt::format("{}, where {} started it", start, bound.user);
}

/// What an agent says of its desktop between two sessions. Like all facts it is stored: after a restart it holds until the agent says otherwise.
Status CoreImpl::desktop_changed(Agent& agent, const Json& session)
{
    Json kept = Json::object();
    for (const char* member : {"state", "user", "since", "display"})
        if (const Json& text = session[member]; text.is_string()) kept.set(member, text.as_string().substr(0, 100));
    if (agent.record.facts["session"] == kept) return {};
    if (!agent.record.facts.is_object()) agent.record.facts = Json::object();
    agent.record.facts.set("session", std::move(kept));
    if (auto ok = writer_.update_agent(agent.key, agent.record, agent.mode_set); !ok) return ok;
    board_.put_agent(agent.key, agent.record);
    waiting_texts_.clear();
    return {};
}

}  // namespace mill::factory::core
