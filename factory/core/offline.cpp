// Starts while this factory is away. Beforehand an agent is given what its user may start there and by what terms; afterwards it says what it began by them.
#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/log.h"

namespace mill::factory::core {
namespace {

constexpr std::chrono::hours kOldest{24 * 30};   // an agent's clock may be wrong: no job is of before that

/// What somebody here has to keep or give at the moment it begins.
bool needs_factory(const Binding& b)
{
    if (b.rules["concurrency"].as_integer() > 0) return true;
    for (const char* rule : {"locks", "approval", "group"})
        if (!b.rules[rule].is_null()) return true;
    // Also of one that the machine holds: its broker opens it by this factory's word alone.
    const auto& granted = b.permissions["credentials"].as_array();
    return std::any_of(granted.begin(), granted.end(), [&](const Json& name) { return b.credentials.contains(name.as_string()); });
}

}  // namespace

/// Its package says so, and nobody here has a part in it.
bool CoreImpl::may_begin_away(const Binding& b)
{
    const auto package = writer_.read().package(b.package_name, b.package_version);
    return package && package->manifest["offline"].as_bool() && !needs_factory(b);
}

/// Null: not while this factory is away.
Result<Json> CoreImpl::terms_for(const std::string& trigger, const Agent& agent)
{
    const auto binding = binding_for_launch(trigger, agent);
    if (!binding && binding.error().code == Errc::internal) return fail(binding.error());
    if (!binding) return Json();   // paused, decommissioned, unsigned, gone
    const dispatch::Needs& needs = (*binding)->needs;
    const Binding& b = (*binding)->binding;
    if (trials_.contains(b.deployment) || !may_begin_away(b)) return Json();
    const auto lacks = dispatch::lacks(needs, board_.environment(needs.environment), agent.record);
    if (std::any_of(lacks.begin(), lacks.end(), [](const dispatch::Lack& lack) { return !dispatch::is_passing(lack) && lack.code != "agent_paused"; })) return Json();
    if (!refusal_by(agent, b.package_name, b.package_version, b.package_digest).empty()) return Json();
    auto signatures = signatures_of(b.package_digest);
    if (!signatures) return fail(signatures.error());
    Json out = protocol::to_json(protocol::Offer{.id = {}, .package_name = b.package_name, .package_version = b.package_version, .package_digest = b.package_digest,
                                                 .signatures = std::move(*signatures), .workflow = b.workflow, .deployment = b.deployment, .environment = b.environment, .trigger = b.trigger,
                                                 .launch = {}, .terms = b.key, .input = {}, .secret_input = {}, .variables = b.variables, .credentials = b.credentials, .permissions = (*binding)->permissions,
                                                 .run_as = board_.environment(b.environment).run_as, .repeatable = b.repeatable, .trace = false, .attempt_token = {}, .lease = options_.lease});
    for (const char* own : {"job", "attempt", "attemptToken"}) out.erase(own);
    const auto document = writer_.read().document("Trigger", trigger);
    if (!document) return fail(document.error());
    return out.set("epoch", epoch_.load()).set("input", document->spec["input"]);   // what the person gives goes over it
}

void CoreImpl::offline_terms(std::string id, std::vector<std::string> triggers, Done<OfflineTerms> done)
{
    queue_.submit<OfflineTerms>(std::move(done), [this, id = std::move(id), triggers = std::move(triggers)]() -> Result<OfflineTerms> {
        const auto agent = agent_by_id(id);
        if (!agent) return fail(agent.error());
        OfflineTerms out;
        for (const std::string& trigger : triggers) {
            auto terms = terms_for(trigger, **agent);
            if (!terms) return fail(terms.error());
            if (!terms->is_null()) out.emplace(trigger, std::move(*terms));
        }
        return out;
    });
}

/// Terms are kept by agents: what an administrator changed since, so that it may not begin any more, counts. Empty: it is taken.
std::string CoreImpl::why_not_begun(const std::string& trigger, const Agent& agent, const Binding& begun, const dispatch::Needs& needs)
{
    for (const dispatch::Lack& lack : dispatch::lacks(needs, board_.environment(needs.environment), agent.record))
        for (const std::string_view code : {"other_agent", "private_environment", "not_in_environment", "agent_not_approved", "agent_revoked", "agent_frozen"})
            if (lack.code == code) return lack.text;
    const auto package = writer_.read().package(begun.package_name, begun.package_version);
    if (package && package->state == PackageState::decommissioned) return fmt::format("package '{}@{}' {}", package->name, package->version, state_words(*package));
    BindingWish wish;
    wish.bound = agent.record.id;
    wish.even_paused = true;
    const auto current = binding_of_trigger(trigger, wish);
    if (!current) return current.error().what;
    if (needs_factory((*current)->binding)) return fmt::format("trigger '{}' has a limit, a lock, an approval or a credential now, which this factory gives", trigger);
    if ((*current)->binding.environment != begun.environment) return fmt::format("trigger '{}' is of environment '{}' now", trigger, (*current)->binding.environment);
    return {};
}

/// It has begun: that its trigger is paused or another version deployed by now changes nothing.
Result<Accepted> CoreImpl::begun(const RunRequest& run, const Who& who, Agent& agent, NewJob job)
{
    const protocol::AttemptId& id = run.begun->id;
    if (id.epoch > epoch_.load()) return fail(Errc::conflict, "it began by the word of a later store than this one");
    if (id.attempt != 1 || id.job[14] != '7') return fail(Errc::invalid, "a job that began at an agent has a UUID of version 7 and is in its first attempt");
    if (const auto there = writer_.job_key(id.job); there) return fail(Errc::conflict, fmt::format("job {} is there already", id.job));
    else if (there.error().code != Errc::not_found) return fail(there.error());
    const auto known = writer_.binding_id(run.begun->terms);
    if (!known && known.error().code != Errc::not_found) return fail(known.error());
    if (!known) return fail(Errc::conflict, "this factory knows nothing of the terms that it began by");
    const auto binding = known_binding(*known);
    if (!binding) return fail(binding.error());
    const dispatch::Needs& needs = (*binding)->needs;
    if ((*binding)->binding.trigger != run.trigger || !needs.bound || needs.bound->agent != agent.record.id || needs.bound->user != agent.record.user)
        return fail(Errc::denied, "the terms that it began by were given to somebody else");
    // Bindings of other jobs have names, too: no approval and no lock is passed over by one.
    if (!may_begin_away((*binding)->binding)) return fail(Errc::denied, "by the terms that it began by nothing may begin while this factory is away");
    if (const std::string refused = why_not_begun(run.trigger, agent, (*binding)->binding, needs); !refused.empty()) return fail(Errc::denied, refused);
    const WallTime now = clock_.now();
    job.uid = id.job;
    job.binding = *known;
    job.created = std::clamp(run.begun->asked, now - kOldest, now);
    job.priority = (*binding)->binding.rules["priority"].is_integer() ? static_cast<int>((*binding)->binding.rules["priority"].as_integer()) : 50;
    job.turn = turn_of(job.priority, job.created);
    const auto key = writer_.insert_job(job);
    if (!key) return fail(key.error());
    if (auto ok = job_line(*key, "ready", job.created, 0, {}, {}, Json::object({{"by", job.requested_by}})); !ok) return fail(ok.error());
    if (auto ok = writer_.put_person_job(agent.key, *key, agent.record.user, run.launch); !ok) return fail(Errc::internal, ok.error().what);
    const WaitingJob row{.uid = job.uid, .binding = job.binding, .priority = job.priority, .attempt = 0, .created = job.created, .input = {}};
    auto active = holds_already(agent, row, *binding, {*key, id, job.created, {}},
                                Json::object({{"text", fmt::format("{} started it at {} while this factory was away", agent.record.user, agent.record.name)}, {"toldAt", format_time(now)}}));
    if (!active) return fail(active.error());
    news_for(agent);
    log::info("core", "job {}: {} started it at {} at {}, while this factory was away", id.job, who.name, agent.record.name, format_time(job.created));
    Accepted out{.job = record_of(**active), .repeated = false, .waiting_for = {}};
    out.job.requested_by = job.requested_by;
    return out;
}

}  // namespace mill::factory::core
