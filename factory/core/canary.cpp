// A job of the built-in package for one agent: no document of anybody stands behind it, and none is left.
#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "protocol/canary.h"

namespace mill::factory::core {

void CoreImpl::run_canary(std::string name, Milliseconds within, Who who, Done<Accepted> done)
{
    queue_.submit<Accepted>(std::move(done), [this, name = std::move(name), within, who = std::move(who)]() -> Result<Accepted> {
        const auto found = agent_by_name(name);
        if (!found) return fail(found.error());
        const AgentRecord& agent = (*found)->record;
        Binding b;
        b.key = fmt::format("canary:{}:{}:{}:{}", agent.id, name, agent.environment, protocol::kCanaryDigest);
        b.trigger = b.deployment = b.package_name = protocol::kCanaryName;
        b.environment = agent.environment;
        b.workflow = "main";
        b.package_version = protocol::kCanaryVersion;
        b.package_digest = protocol::kCanaryDigest;
        b.variables = b.credentials = b.permissions = Json::object();
        b.rules = Json::object({{"agent", name}, {"runOn", "any"}, {"offlineLimit", "1m"}});
        const auto id = writer_.put_binding(b);
        if (!id) return fail(id.error());
        const auto binding = known_binding(*id);
        if (!binding) return fail(binding.error());
        if (auto ok = audit(who, "canary", "Agent", name); !ok) return fail(ok.error());
        constexpr int kFirst = 100;   // who asks for it waits for it
        return make_job(*binding, {.uid = {}, .binding = 0, .priority = kFirst, .requested_by = who.name, .retry_of = {}, .created = {}, .expires = clock_.now() + within,
                                   .input = "{}", .context = {}}, Json::object());
    });
}

void CoreImpl::package_sent(const AttemptAccess& access)
{
    if (access.deployment != protocol::kCanaryName) return;   // a line in each job's timeline would be too many
    queue_.submit<Nothing>({}, [this, id = access.id]() -> Result<Nothing> {
        Active* active = active_of(id.job);
        if (!active || active->attempt != id.attempt || active->binding->needs.agent.empty()) return Nothing{};
        if (auto ok = job_line(active->job, "package_sent", clock_.now(), active->attempt, agents_.at(active->agent).record.name); !ok) return fail(ok.error());
        return Nothing{};
    });
}

}  // namespace mill::factory::core
