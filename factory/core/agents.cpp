#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/fingerprint.h"

namespace mill::factory::core {

Result<Agent*> CoreImpl::agent_by_id(std::string_view id)
{
    const auto found = agent_ids_.find(std::string(id));
    if (found == agent_ids_.end()) return fail(Errc::not_found, fmt::format("there is no agent '{}'", id));
    return &agents_.at(found->second);
}

Result<Agent*> CoreImpl::agent_by_name(std::string_view name)
{
    for (auto& [key, agent] : agents_)
        if (agent.record.name == name) return &agent;
    return fail(Errc::not_found, fmt::format("there is no agent '{}'", name));
}

void CoreImpl::fill(Agent& agent)
{
    agent.record.online = agent.online;
    agent.record.holds.clear();
    for (const JobKey job : agent.holds) agent.record.holds.push_back(active_.at(job).uid);
}

Status CoreImpl::keep(Agent& agent)
{
    if (auto ok = writer_.update_agent(agent.key, agent.record, agent.mode_set); !ok) return ok;
    board_.put_agent(agent.key, agent.record);
    waiting_texts_.clear();
    agent.files_revision = 0;   // where it belongs may be another place now
    watches_stale_ = true;   // its name and labels say who hears of it
    return {};
}

Status CoreImpl::come_online(Agent& agent)
{
    if (!agent.online)
        if (auto ok = tell_agent(agent, "online"); !ok) return ok;   // while the outage is known
    agent.record.last_seen = clock_.now();
    if (agent.online) return {};
    if (auto ok = writer_.seen_agent(agent.key, *agent.record.last_seen, ""); !ok) return ok;
    agent.online = true;
    agent.record.goodbye.clear();
    agent.record.offline_since.reset();
    waiting_texts_.clear();
    return feed({.time = clock_.now(), .kind = "agent", .subject = agent.record.name, .what = "online", .agent = {}, .reason = {}, .detail = {}});
}

Status CoreImpl::go_offline(Agent& agent, std::string_view why)
{
    if (!agent.online) return {};
    const WallTime now = clock_.now();
    if (auto ok = writer_.seen_agent(agent.key, now, agent.record.goodbye); !ok) return ok;
    agent.online = false;
    agent.record.last_seen = agent.record.offline_since = now;
    watch_agent(agent);
    board_.want(agent.key, 0);
    waiting_texts_.clear();
    // What was assigned to it and never sent can run elsewhere at once.
    for (const JobKey job : std::set<JobKey>(agent.holds)) {
        Active& active = active_.at(job);
        if (unsent(active))
            if (auto ok = back_to_ready(active, "unsent", why); !ok) return ok;
    }
    return feed({.time = clock_.now(), .kind = "agent", .subject = agent.record.name, .what = "offline", .agent = {}, .reason = why, .detail = {}});
}

void CoreImpl::set_agent(std::string name, AgentPatch patch, Who who, Done<AgentRecord> done)
{
    queue_.submit<AgentRecord>(std::move(done), [=, this]() -> Result<AgentRecord> {
        const auto found = agent_by_name(name);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        Json changes = Json::object();
        if (patch.mode) {
            agent.record.mode = *patch.mode;
            agent.mode_set = true;
            changes.set("mode", protocol::name(*patch.mode));
        }
        if (patch.labels) changes.set("labels", agent.record.labels = *patch.labels);
        AgentRecord& record = agent.record;
        const std::string user_before = record.user;
        if (patch.environment && record.approved && record.approved_in.is_array()) {   // who moves it may approve it: as it was there, so here
            Json moved = Json::array();
            for (const Json& place : record.approved_in.as_array()) moved.push(place.as_string() == record.environment ? Json(*patch.environment) : place);
            record.approved_in = std::move(moved);
        }
        if (patch.environment) changes.set("environment", record.environment = *patch.environment);
        if (patch.approved) {
            changes.set("approved", record.approved = *patch.approved);
            if (!record.approved) record.approved_in = Json::array();
            else if (record.approved_in.is_array()) record.approved_in = approvals(record.environment, record.approved_in);
        }
        if (patch.approved_in) {
            changes.set("approvedIn", record.approved_in = *patch.approved_in);
            record.approved = !patch.approved_in->empty();
        }
        if (patch.user) changes.set("user", record.user = *patch.user).set("userBefore", user_before);
        if (patch.sessions) changes.set("sessions", agent.record.sessions = *patch.sessions);
        if (patch.paused) changes.set("paused", agent.record.paused = *patch.paused);
        if (patch.frozen) changes.set("frozen", agent.record.frozen = *patch.frozen);
        if (patch.revoked) {
            changes.set("revoked", true).set("key", platform::fingerprint(agent.record.public_key));
            if (auto ok = give_key(agent, {}, false); !ok) return fail(ok.error());
        }
        if (record.user != user_before)
            if (auto ok = user_changed(agent); !ok) return fail(ok.error());
        if (auto ok = keep(agent); !ok) return fail(ok.error());
        if (auto ok = audit(who, "set", "Agent", name, changes); !ok) return fail(ok.error());
        if (auto ok = feed({.time = clock_.now(), .kind = "agent", .subject = name, .what = "changed", .agent = {}, .reason = {}, .detail = changes}); !ok)
            return fail(ok.error());
        if (auto ok = dispatch(); !ok) return fail(ok.error());
        fill(agent);
        return agent.record;
    });
}

void CoreImpl::delete_agent(std::string name, Who who, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [=, this]() -> Result<Nothing> {
        const auto found = agent_by_name(name);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        if (!agent.holds.empty())
            return fail(Errc::conflict, fmt::format("agent '{}' holds {} jobs: cancel them or wait (`millwright jobs`)", name, agent.holds.size()));
        if (auto ok = writer_.delete_agent(agent.key); !ok) return fail(ok.error());
        if (auto ok = forget_keys(agent); !ok) return fail(ok.error());
        if (auto ok = audit(who, "delete", "Agent", name); !ok) return fail(ok.error());
        if (auto ok = feed({.time = clock_.now(), .kind = "agent", .subject = name, .what = "deleted", .agent = {}, .reason = {}, .detail = {}}); !ok)
            return fail(ok.error());
        end_poll(agent, Error{Errc::denied, "this agent was deleted: enrol it again"});
        const AgentKey agent_key = agent.key;
        board_.remove_agent(agent.key);
        agent_ids_.erase(agent.record.id);
        agents_.erase(agent.key);
        waiting_texts_.clear();
        if (awaited_.contains(agent_key)) {
            if (auto ok = await_no_more(agent_key, "it was deleted"); !ok) return fail(ok.error());
            if (auto ok = dispatch(); !ok) return fail(ok.error());
        }
        return Nothing{};
    });
}

void CoreImpl::step_counter(CounterStep step, Done<std::string> done)
{
    // A copied key must stay frozen, so the refusal is a result of a commit, not an error that undoes it.
    using Outcome = std::optional<std::string>;
    Done<Outcome> judge = [done = std::move(done)](Result<Outcome> outcome) {
        if (!outcome) done(fail(outcome.error()));
        else if (!*outcome)
            done(fail(Errc::denied, "copied_key: this agent's key was used with an older session counter; it is frozen (`millwright agents set NAME --unfreeze`)"));
        else done(std::move(**outcome));
    };
    queue_.submit<Outcome>(std::move(judge), [=, this]() -> Result<Outcome> {
        const auto found = agent_by_id(step.agent);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        const auto last = writer_.counter(agent.key);
        if (!last) return fail(last.error());
        if (agent.record.frozen) return Outcome();
        if (!step.key.empty() && step.key != agent.record.public_key)
            return fail(Errc::conflict, fmt::format("the key of agent '{}' was changed meanwhile: ask again", agent.record.name));
        if (!last->jti.empty() && last->jti == step.jti && last->counter == step.counter) return Outcome(last->answer);
        if (step.counter > last->counter) {
            if (auto ok = writer_.step_counter(agent.key, step.counter, step.jti, step.answer); !ok) return fail(ok.error());
            agent.record.counter = step.counter;
            if (auto ok = key_in_use(agent); !ok) return fail(ok.error());
            return Outcome(step.answer);
        }
        if (auto ok = freeze(agent, {fmt::format("agent {}", agent.record.name), {}}, Json::object({{"counter", step.counter}, {"last", last->counter}})); !ok)
            return fail(ok.error());
        return Outcome();
    });
}

void CoreImpl::open_session(SessionReport report, Done<SessionAnswer> done)
{
    queue_.submit<SessionAnswer>(std::move(done), [=, this]() -> Result<SessionAnswer> {
        const auto found = agent_by_id(report.agent);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        if (agent.record.frozen) return fail(Errc::denied, fmt::format("agent '{}' is frozen because its key was used twice", agent.record.name));
        if (agent.record.public_key.empty()) return fail(Errc::denied, fmt::format("agent '{}' was revoked: enrol it again", agent.record.name));
        AgentRecord next = agent.record;
        if (report.mode && !agent.mode_set) next.mode = *report.mode;
        next.slots = std::max<std::uint32_t>(1, report.slots);
        if (!report.facts.is_null()) next.facts = report.facts;
        next.goodbye.clear();
        if (next.mode != agent.record.mode || next.slots != agent.record.slots || !(next.facts == agent.record.facts) || next.goodbye != agent.record.goodbye) {
            agent.record = std::move(next);
            if (auto ok = keep(agent); !ok) return fail(ok.error());
            if (auto ok = dispatch(); !ok) return fail(ok.error());
        }
        agent.can_repeat = report.can_repeat;
        agent.fetched = agent.told = 0;
        if (auto ok = compare(agent, report.seen); !ok) return fail(ok.error());
        SessionAnswer answer{.agent = {}, .epoch = epoch_, .held = {}, .revoked = revoked_keys(), .report_again = report.can_repeat && awaited_.contains(agent.key)};
        agent.asked_again = answer.report_again;
        for (const protocol::AttemptId& id : report.held) {
            auto held = standing_of(agent, id, true);
            if (!held) return fail(held.error());
            if (Active* active = active_of(id.job); active && held->cancel) active->cancel_sent = false;
            answer.held.push_back(std::move(*held));
        }
        // An offer that it had taken and, after a crash, knows nothing of is made again, with the same number.
        for (const JobKey job : agent.holds) {
            Active& active = active_.at(job);
            const bool held = std::any_of(report.held.begin(), report.held.end(), [&](const protocol::AttemptId& id) { return id.job == active.uid && id.attempt == active.attempt; });
            if (held || active.state != protocol::JobState::assigned) continue;
            active.named = false;
            active.offered = SteadyTime{};   // sent, and due again
            stirred_.insert(agent.key);
        }
        fill(agent);
        answer.agent = agent.record;
        return answer;
    });
}

void CoreImpl::agent_log(std::string id, std::vector<AgentLogLine> lines, Done<std::uint64_t> done)
{
    queue_.submit<std::uint64_t>(std::move(done), [this, id = std::move(id), lines = std::move(lines)]() -> Result<std::uint64_t> {
        const auto found = agent_by_id(id);
        if (!found) return fail(found.error());
        return writer_.add_agent_log((*found)->key, lines);
    });
}

void CoreImpl::goodbye(std::string id, std::string why, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [=, this]() -> Result<Nothing> {
        const auto found = agent_by_id(id);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        agent.record.goodbye = why.empty() ? "said goodbye" : why.substr(0, 200);
        end_poll(agent, Error{Errc::cancelled, "the agent said goodbye"});
        if (agent.online) {
            if (auto ok = go_offline(agent, agent.record.goodbye); !ok) return fail(ok.error());
            return Nothing{};
        }
        const WallTime now = clock_.now();
        if (auto ok = writer_.seen_agent(agent.key, now, agent.record.goodbye); !ok) return fail(ok.error());
        agent.record.last_seen = agent.record.offline_since = now;  // it went before its first poll
        watch_agent(agent);
        waiting_texts_.clear();
        return Nothing{};
    });
}

Result<std::vector<AgentRecord>> CoreImpl::agents()
{
    return await<std::vector<AgentRecord>>([this](Done<std::vector<AgentRecord>> done) {
        queue_.submit<std::vector<AgentRecord>>(std::move(done), [this]() -> Result<std::vector<AgentRecord>> {
            std::vector<AgentRecord> out;
            out.reserve(agents_.size());
            for (auto& [key, agent] : agents_) {
                fill(agent);
                out.push_back(agent.record);
            }
            std::sort(out.begin(), out.end(), [](const AgentRecord& a, const AgentRecord& b) { return a.name < b.name; });
            return out;
        });
    });
}

}  // namespace mill::factory::core
