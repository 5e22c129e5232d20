// How an agent comes by its key and loses it: enrolment with a code, admission by an administrator, rotation, revocation.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/ids.h"
#include "platform/base/text.h"
#include "platform/fingerprint.h"

namespace mill::factory::core {

/// The row and what is remembered of it. A poll under the key of before ends.
Status CoreImpl::give_key(Agent& agent, const std::string& public_key, bool anew)
{
    const bool changed = !public_key.empty() && !anew;
    if (auto ok = changed ? remember_key(agent) : forget_keys(agent); !ok) return ok;
    if (auto ok = writer_.agent_key(agent.key, public_key, anew); !ok) return ok;
    agent.record.public_key = public_key;
    if (anew) agent.record.counter = 0;
    if (public_key.empty() || anew) end_poll(agent, Error{Errc::denied, "this agent's key was changed"});
    return {};
}

/// An agent is approved for the environment that it joins, and for what else was said.
Json CoreImpl::approvals(const std::string& environment, const Json& more)
{
    Json out = Json::array({Json(environment)});
    for (const Json& name : more.as_array())
        if (name.as_string() != environment) out.push(name);
    return out;
}

/// A new agent, or a new key for the agent that has the name. Held jobs, mode as an administrator set it and environment stay with the name.
Result<AgentRecord> CoreImpl::join(AgentRecord record, bool take_over, const Who& who, std::string_view action, Json detail)
{
    detail.set("key", platform::fingerprint(record.public_key));
    const auto known = agent_by_name(record.name);
    if (known && (*known)->record.public_key == record.public_key) return (*known)->record;
    if (known && !take_over)
        return fail(Errc::conflict, fmt::format("there is an agent '{0}' already: choose another name, or let an administrator allow that '{0}' is taken over "
                                                "(`millwright agents invite --name {0} --take-over`)", record.name));
    if (known) {
        Agent& agent = **known;
        detail.set("takenOver", true).set("keyBefore", platform::fingerprint(agent.record.public_key));
        if (auto ok = give_key(agent, record.public_key, true); !ok) return fail(ok.error());
        agent.record.frozen = false;
        agent.record.approved = record.approved;
        agent.record.sessions = false;   // who may vouch is said anew by whoever may say it
        const bool another = agent.record.user != record.user;
        agent.record.user = record.user;
        if (another)
            if (auto ok = user_changed(agent); !ok) return fail(ok.error());
        if (record.approved) agent.record.approved_in = approvals(agent.record.environment, record.approved_in);
        if (!agent.mode_set) agent.record.mode = record.mode;
        if (!record.labels.empty()) agent.record.labels = record.labels;
        agent.record.facts = record.facts;
        if (auto ok = keep(agent); !ok) return fail(ok.error());
    }
    AgentKey key = known ? (*known)->key : 0;
    if (!known) {
        record.approved_in = record.approved ? approvals(record.environment, record.approved_in) : Json::array();
        record.created = clock_.now();
        const auto inserted = writer_.insert_agent(record);
        if (!inserted) return fail(inserted.error());
        key = *inserted;
    }
    if (auto ok = audit(who, action, "Agent", record.name, std::move(detail)); !ok) return fail(ok.error());
    if (auto ok = feed({.time = clock_.now(), .kind = "agent", .subject = record.name, .what = "enrolled", .agent = {}, .reason = {}, .detail = {}}); !ok)
        return fail(ok.error());
    if (known) {
        if (auto ok = dispatch(); !ok) return fail(ok.error());
        return agents_.at(key).record;
    }
    Agent& agent = agents_[key];
    agent.key = key;
    agent.record = record;
    agent_ids_[record.id] = key;
    board_.put_agent(key, record);
    waiting_texts_.clear();
    return record;
}

void CoreImpl::enrol(EnrolRequest request, Done<AgentRecord> done)
{
    queue_.submit<AgentRecord>(std::move(done), [=, this]() -> Result<AgentRecord> {
        constexpr std::string_view ask = "ask an administrator of the factory for a new one (`millwright agents invite`)";
        const auto code = writer_.code(request.code_id);
        if (!code || !platform::equal_constant_time(code->sha256, request.code_sha256))
            return fail(Errc::denied, fmt::format("the enrolment code is not known here: {}", ask));
        if (code->expires <= clock_.now()) return fail(Errc::denied, fmt::format("the enrolment code was valid until {}: {}", format_time(code->expires), ask));
        if (const auto again = writer_.code_used_by(code->id, request.public_key); again) {
            const auto agent = agent_by_id(*again);
            if (agent && (*agent)->record.name == request.name && (*agent)->record.public_key == request.public_key) return (*agent)->record;
        }
        if (code->uses_left == 0) return fail(Errc::denied, fmt::format("the enrolment code was used up: {}", ask));
        const std::string& pattern = code->terms["name"].as_string();
        if (!pattern.empty() && !matches_pattern(pattern, request.name))
            return fail(Errc::invalid, fmt::format("the enrolment code is for names like '{}', not '{}': choose such a name with --name, or {}", pattern, request.name, ask));

        const auto mode = protocol::parse_mode(code->terms["mode"].as_string());
        if (mode && request.mode && *mode != *request.mode)
            return fail(Errc::invalid, fmt::format("the enrolment code is for an agent of mode {0}, not {1}: enrol with --mode {0}, or {2}", protocol::name(*mode), protocol::name(*request.mode), ask));

        const bool take_over = code->terms["takeOver"].as_bool();
        AgentRecord record;
        const auto holder = agent_by_name(request.name);
        record.id = holder && take_over ? (*holder)->record.id : new_uid();
        record.name = request.name;
        record.public_key = request.public_key;
        record.mode = mode ? *mode : request.mode ? *request.mode : holder && take_over ? (*holder)->record.mode : protocol::AgentMode::unattended;
        record.environment = code->terms["environment"].is_string() ? code->terms["environment"].as_string() : "default";
        record.labels = code->terms["labels"].is_object() ? code->terms["labels"] : Json::object();
        record.facts = request.facts;
        record.approved = code->terms["approve"].as_bool();
        record.approved_in = code->terms["approveIn"];
        record.user = code->terms["user"].as_string();
        if (auto ok = writer_.use_code(code->id, request.public_key, record.id); !ok) return fail(ok.error());
        Json detail = Json::object({{"code", code->id}, {"invitedBy", code->created_by}});
        if (!record.user.empty()) detail.set("user", record.user);
        auto joined = join(std::move(record), take_over, {fmt::format("agent {}", request.name), {}}, "enrol", std::move(detail));
        if (!joined || !mode) return joined;
        Agent& agent = agents_.at(agent_ids_.at(joined->id));   // an administrator chose it: what the agent says of its mode counts no more
        agent.record.mode = *mode;
        agent.mode_set = true;
        if (auto ok = keep(agent); !ok) return fail(ok.error());
        return agent.record;
    });
}

void CoreImpl::admit(AdmitRequest request, Who who, Done<AgentRecord> done)
{
    queue_.submit<AgentRecord>(std::move(done), [=, this]() -> Result<AgentRecord> {
        for (const auto& [key, agent] : agents_)
            if (agent.record.public_key == request.public_key && agent.record.name != request.name)
                return fail(Errc::conflict, fmt::format("this machine's key is agent '{}' already", agent.record.name));
        AgentRecord record;
        record.id = new_uid();
        record.name = request.name;
        record.public_key = request.public_key;
        record.mode = request.mode;
        record.environment = request.environment;
        record.labels = request.labels.is_object() ? request.labels : Json::object();
        record.facts = request.facts;
        record.approved = true;
        record.approved_in = request.approve_in;
        const auto holder = agent_by_name(request.name);
        record.user = request.user.empty() && request.take_over && holder ? (*holder)->record.user : request.user;
        Json detail = Json::object({{"code", request.code}, {"environment", request.environment}});
        if (!record.user.empty()) detail.set("user", record.user);
        return join(std::move(record), request.take_over, who, "admit", std::move(detail));
    });
}

void CoreImpl::change_key(std::string agent_id, std::string old_key, std::string new_key, Who who, Done<AgentRecord> done)
{
    queue_.submit<AgentRecord>(std::move(done), [=, this]() -> Result<AgentRecord> {
        const auto found = agent_by_id(agent_id);
        if (!found) return fail(found.error());
        Agent& agent = **found;
        if (agent.record.public_key == new_key) return agent.record;   // its answer was lost
        if (agent.record.frozen) return fail(Errc::denied, fmt::format("agent '{}' is frozen: it cannot change its key", agent.record.name));
        if (agent.record.public_key != old_key) return fail(Errc::conflict, fmt::format("agent '{}' has another key by now", agent.record.name));
        const Json detail = Json::object({{"keyBefore", platform::fingerprint(old_key)}, {"key", platform::fingerprint(new_key)}});
        if (auto ok = give_key(agent, new_key, false); !ok) return fail(ok.error());
        if (auto ok = audit(who, "rotate-key", "Agent", agent.record.name, detail); !ok) return fail(ok.error());
        if (auto ok = feed({.time = clock_.now(), .kind = "agent", .subject = agent.record.name, .what = "key changed", .agent = {}, .reason = {}, .detail = {}}); !ok)
            return fail(ok.error());
        return agent.record;
    });
}

void CoreImpl::note(std::string action, std::string kind, std::string subject, Json detail, Who who, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [=, this]() -> Result<Nothing> {
        if (auto ok = audit(who, action, kind, subject, detail); !ok) return fail(ok.error());
        return Nothing{};
    });
}

}  // namespace mill::factory::core
