// `canary:` of a deployment: a new version goes to a group of agents first, and by itself to all, or back.
#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/log.h"

namespace mill::factory::core {
namespace {

using protocol::JobState;
using protocol::Reason;

/// Of a machine or the way to it, which no version of a package can help.
bool is_of_the_machine(Reason reason)
{
    return reason == Reason::agent_lost || reason == Reason::outcome_unknown || reason == Reason::not_started;
}

std::string package_of(const Binding& binding) { return binding.package_name + "@" + binding.package_version; }

}  // namespace

Status CoreImpl::load_trials()
{
    trials_.clear();
    auto kept = writer_.read().trials();
    if (!kept) return fail(kept.error());
    for (Trial& trial : *kept) {
        std::string name = trial.deployment;
        trials_[std::move(name)].trial = std::move(trial);
    }
    return {};
}

Status CoreImpl::begin_trial(const std::optional<Document>& before, const Document& now, const Who& who)
{
    if (now.kind != "Deployment" || !before) return {};
    const std::string& to = now.spec["package"].as_string();
    const Json& canary = now.spec["canary"];
    const auto found = trials_.find(now.name);
    // Another version while one is tried: the others go on with what they have.
    Trial trial{.deployment = now.name, .spec = before->spec, .generation = before->generation, .from = before->spec["package"].as_string(), .to = to,
                .group = canary["group"].as_string(), .jobs = static_cast<std::uint64_t>(canary["jobs"].as_integer()), .succeeded = 0, .started = now.changed, .who = who.name};
    if (found != trials_.end()) {
        const Trial& old = found->second.trial;
        trial.spec = old.spec;
        trial.generation = old.generation;
        trial.from = old.from;
        if (old.to == to && canary.is_object()) {   // its settings changed
            trial.succeeded = old.succeeded;
            trial.started = old.started;
            trial.who = old.who;
            if (trial.succeeded < trial.jobs) {
                found->second.trial = trial;
                return writer_.put_trial(trial);
            }
        }
        if (auto ok = end_trial(now.name); !ok) return ok;
    } else if (before->spec["package"].as_string() == to) {
        return {};
    }
    if (!canary.is_object() || trial.from == to || trial.succeeded >= trial.jobs) return {};
    const auto stays = writer_.read().package(trial.from.substr(0, trial.from.find('@')), trial.from.substr(trial.from.find('@') + 1));
    if (!stays || stays->state == PackageState::decommissioned) return {};   // nobody can go on with it
    if (auto ok = writer_.put_trial(trial); !ok) return ok;
    log::info("core", "deployment '{}': {} is tried by group '{}' for {} jobs, the others go on with {}", now.name, to, trial.group, trial.jobs, trial.from);
    trials_[now.name].trial = std::move(trial);
    return feed({.time = now.changed, .kind = "resource", .subject = "Deployment/" + now.name, .what = "tried", .agent = {}, .reason = {},
                 .detail = Json::object({{"to", to}, {"group", canary["group"]}, {"jobs", canary["jobs"]}})});
}

Status CoreImpl::end_trial(const std::string& deployment)
{
    if (trials_.erase(deployment) == 0) return {};
    return writer_.delete_trial(deployment);
}

/// No job waits for the trial: only when an agent of the group is free, and places are left, it gets the new version.
Result<BindingRef> CoreImpl::binding_for_job(const std::string& trigger, bool traced, const std::string& agent)
{
    auto current = binding_of_trigger(trigger, {.traced = traced, .agent = agent});
    if (!current || trials_.empty()) return current;
    const auto found = trials_.find((*current)->binding.deployment);
    if (found == trials_.end()) return current;
    if (!agent.empty()) return binding_of_trigger(trigger, {.traced = traced, .version = Version::before, .agent = agent});   // where it runs is no choice: it tries nothing
    const auto& [trial, under_way] = found->second;
    if (trial.succeeded + under_way.size() < trial.jobs) {
        auto tried = binding_of_trigger(trigger, {.traced = traced, .version = Version::tried});
        if (!tried && tried.error().code != Errc::conflict) return tried;
        if (tried && board_.anyone_free((*tried)->binding.id)) return tried;
    }
    return binding_of_trigger(trigger, {.traced = traced, .version = Version::before});
}

void CoreImpl::tried_by(const Binding& binding, JobKey job)
{
    if (trials_.empty() || !binding.rules.contains("group")) return;
    const auto found = trials_.find(binding.deployment);
    if (found != trials_.end() && found->second.trial.to == package_of(binding)) found->second.under_way.insert(job);
}

Status CoreImpl::trial_ended(JobKey job, const std::string& uid, const Binding& binding, JobState state, Reason reason, const Json& error)
{
    const auto found = trials_.find(binding.deployment);
    if (found == trials_.end() || found->second.under_way.erase(job) == 0) return {};
    KnownTrial& known = found->second;
    if (state == JobState::failed && !is_of_the_machine(reason)) {
        const std::string& title = error["title"].as_string();
        return revert(known, fmt::format("job {} failed with it ({}{}{}), after {} that were successful", uid, protocol::name(reason), title.empty() ? "" : ": ",
                                         title.substr(0, 200), known.trial.succeeded));
    }
    if (state != JobState::successful) return {};
    if (++known.trial.succeeded < known.trial.jobs) return writer_.put_trial(known.trial);
    return promote(known, {"canary", {}}, fmt::format("the {} jobs with which group '{}' tried it were successful", known.trial.jobs, known.trial.group));
}

Status CoreImpl::promote(KnownTrial& known, const Who& who, const std::string& why)
{
    const Trial trial = known.trial;
    auto document = writer_.read().document("Deployment", trial.deployment);
    if (!document) return fail(document.error());
    if (auto ok = end_trial(trial.deployment); !ok) return ok;
    const VersionMove move{.time = clock_.now(), .who = who.name, .what = "promoted", .from = trial.to, .to = trial.to, .why = why, .generation = document->generation,
                           .rebound = 0, .spec = document->spec};
    if (auto ok = writer_.put_version_move(document->uid, move); !ok) return ok;
    if (auto ok = audit(who, "promote", "Deployment", trial.deployment, Json::object({{"from", trial.from}, {"to", trial.to}, {"why", why}})); !ok) return ok;
    log::info("core", "deployment '{}': {} goes to all agents: {}", trial.deployment, trial.to, why);
    documents_changed();
    return feed({.time = move.time, .kind = "resource", .subject = "Deployment/" + trial.deployment, .what = "promoted", .agent = {}, .reason = why, .detail = {}});
}

/// As a rollback by hand: a later `apply` of the version does not bring it back by accident.
Status CoreImpl::revert(KnownTrial& known, const std::string& why)
{
    const Trial trial = known.trial;
    const auto document = writer_.read().document("Deployment", trial.deployment);
    if (!document) return fail(document.error());
    const auto before = writer_.read().package(trial.from.substr(0, trial.from.find('@')), trial.from.substr(trial.from.find('@') + 1));
    if (!before || before->state == PackageState::decommissioned)
        return promote(known, {"canary", {}}, fmt::format("{}; but there is no way back: {} {}", why, trial.from, before ? state_words(*before) : "is gone"));
    if (auto ok = end_trial(trial.deployment); !ok) return ok;
    const Who who{"canary", {}};
    Document changed = *document;   // written first: waiting jobs are bound to what it says
    changed.spec = trial.spec;
    if (auto ok = writer_.put_document(changed); !ok) return ok;
    documents_changed();
    VersionMoved moved;
    if (auto ok = rebind_waiting(trial.deployment, trial.to, who, moved); !ok) return ok;
    const auto written = write_document(*document, "Deployment", trial.deployment, trial.spec, who, "rolled_back",
                                        {.time = clock_.now(), .who = who.name, .what = "rolled_back", .from = {}, .to = {}, .why = why, .rebound = moved.rebound, .spec = {}});
    if (!written) return fail(written.error());
    log::warning("core", "deployment '{}' is back at {}: {}", trial.deployment, trial.from, why);
    documents_changed();
    return {};
}

void CoreImpl::promote_deployment(std::string deployment, std::string why, Who who, Done<Nothing> done)
{
    queue_.submit<Nothing>(std::move(done), [this, deployment = std::move(deployment), why = std::move(why), who = std::move(who)]() -> Result<Nothing> {
        if (auto known = writer_.read().document("Deployment", deployment); !known) return fail(known.error());
        const auto found = trials_.find(deployment);
        if (found == trials_.end()) return fail(Errc::conflict, fmt::format("deployment '{}' tries no version: all its agents have the same", deployment));
        if (auto ok = promote(found->second, who, why); !ok) return fail(ok.error());
        return Nothing{};
    });
}

std::optional<WhyReason> CoreImpl::trial_words(const std::string& deployment) const
{
    const auto found = trials_.find(deployment);
    if (found == trials_.end()) return std::nullopt;
    const auto& [trial, under_way] = found->second;
    const std::string command = fmt::format("millwright deployments promote {}", deployment);
    return WhyReason{"canary_under_way", trial.group,
                     fmt::format("{} is tried by group '{}' since {}: {} of {} jobs were successful, {} under way; the others go on with {} (`{}`, or `millwright deployments rollback {}`)",
                                 trial.to, trial.group, format_time(trial.started), trial.succeeded, trial.jobs, under_way.size(), trial.from, command, deployment),
                     command};
}

}  // namespace mill::factory::core
