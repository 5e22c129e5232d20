// People's own agents on a machine whose agent vouches for who they are: they need no code, where an administrator allowed that.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/ids.h"

namespace mill::factory::core {
namespace {

constexpr std::size_t kMostOfMachine = 200;   // people's agents that join through one machine's

}  // namespace

void CoreImpl::join_session(SessionJoin request, Done<AgentRecord> done)
{
    queue_.submit<AgentRecord>(std::move(done), [this, request = std::move(request)]() -> Result<AgentRecord> {
        const auto found = agent_by_id(request.machine);
        if (!found) return fail(found.error());
        const AgentRecord machine = (*found)->record;
        if (!machine.machine.empty()) return fail(Errc::denied, fmt::format("agent '{}' is a person's own: only a machine's agent vouches for others", machine.name));
        if (!machine.sessions)
            return fail(Errc::denied, fmt::format("the factory lets nobody join through agent '{0}': an administrator allows it with `millwright agents set {0} --sessions on`", machine.name));
        if (!machine.approved || machine.frozen || machine.public_key.empty())
            return fail(Errc::denied, fmt::format("agent '{}' is {}: it vouches for nobody", machine.name, machine.public_key.empty() ? "revoked" : machine.frozen ? "frozen" : "not approved"));
        if (request.user == "root") return fail(Errc::invalid, "root is no person: its agent is enrolled with a code (`millwright agents invite`)");

        AgentRecord record;
        record.name = fmt::format("{}-{}", machine.name, request.user);
        std::replace_if(record.name.begin(), record.name.end(), [](char c) { return c == '@' || c == '+'; }, '.');   // an agent's name has neither
        if (record.name.size() > 100) return fail(Errc::invalid, fmt::format("the name '{}' would have more than 100 bytes: a code with a shorter one is needed (`millwright agents invite`)", record.name));
        const auto known = agent_by_name(record.name);
        if (known && ((*known)->record.machine != machine.id || (*known)->record.user != request.user))
            return fail(Errc::conflict, fmt::format("there is an agent '{}' already, which is not {}'s of this machine: an administrator renames or removes it", record.name, request.user));
        if (known && (*known)->record.public_key.empty())
            return fail(Errc::denied, fmt::format("agent '{0}' was revoked: an administrator removes it (`millwright delete agent {0}`), then it may join again", record.name));
        if (known && (*known)->record.frozen)
            return fail(Errc::denied, fmt::format("agent '{0}' is frozen because its key was used twice: an administrator looks at it (`millwright agents set {0} --unfreeze`)", record.name));
        for (const auto& [key, agent] : agents_)
            if (agent.record.public_key == request.public_key && agent.record.name != record.name)
                return fail(Errc::conflict, "this key is another agent's: make a new one");
        const auto of_machine = std::count_if(agents_.begin(), agents_.end(), [&](const auto& one) { return one.second.record.machine == machine.id; });
        if (!known && static_cast<std::size_t>(of_machine) >= kMostOfMachine)
            return fail(Errc::unavailable, fmt::format("{} people's agents have joined through agent '{}' already: an administrator removes some", kMostOfMachine, machine.name));

        record.id = known ? (*known)->record.id : new_uid();
        record.public_key = request.public_key;
        record.mode = protocol::AgentMode::attended;
        record.environment = machine.environment;
        record.labels = Json::object();
        record.facts = request.facts;
        record.approved = true;
        record.approved_in = known ? (*known)->record.approved_in : Json();
        record.user = request.user;
        record.machine = machine.id;
        auto joined = join(std::move(record), true, {fmt::format("agent {}", machine.name), {}}, "enrol", Json::object({{"machine", machine.name}, {"user", request.user}}));
        if (!joined) return joined;
        Agent& agent = agents_.at(agent_ids_.at(joined->id));
        if (agent.mode_set && agent.record.mode == protocol::AgentMode::attended) return agent.record;
        agent.record.mode = protocol::AgentMode::attended;   // whatever it says of itself later
        agent.mode_set = true;
        if (auto ok = keep(agent); !ok) return fail(ok.error());
        return agent.record;
    });
}

}  // namespace mill::factory::core
