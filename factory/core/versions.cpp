// What a published version is for, and a deployment's way from one version to another.
#include <limits>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/ids.h"
#include "protocol/canary.h"

namespace mill::factory::core {
namespace {

/// Forward by any number of steps but into `deprecated`, which is for what was released; back only from there.
bool may_become(PackageState from, PackageState to)
{
    switch (to) {
    case PackageState::draft: return false;
    case PackageState::released: return from != PackageState::decommissioned;
    case PackageState::deprecated: return from == PackageState::released;
    case PackageState::decommissioned: return true;
    }
    return false;
}

std::string way_out(PackageState from, PackageState to)
{
    if (from == PackageState::decommissioned) return "it stays so: publish the next version";
    if (to == PackageState::draft) return "a version that was released is no draft again: publish the next version with --draft";
    return "release it first";
}

}  // namespace

void CoreImpl::set_package_state(std::string name, std::string version, PackageState state, std::string why, Who who, Done<PackageRecord> done)
{
    queue_.submit<PackageRecord>(std::move(done), [=, this]() -> Result<PackageRecord> {
        auto package = writer_.read().package(name, version);
        if (!package) return fail(package.error());
        const std::string subject = name + "@" + version;
        if (name == protocol::kCanaryName) return fail(Errc::conflict, fmt::format("package '{}' is the factory's own", name));
        if (package->state == state) return std::move(*package);
        if (!may_become(package->state, state))
            return fail(Errc::conflict, fmt::format("package '{}' cannot become {}: it {}; {}", subject, factory::name(state), state_words(*package), way_out(package->state, state)));
        const std::string_view before = factory::name(package->state);
        package->state = state;
        package->state_by = who.name;
        package->state_why = why;
        package->state_at = clock_.now();
        if (auto ok = writer_.package_state(*package); !ok) return fail(ok.error());
        const Json detail = Json::object({{"from", before}, {"to", factory::name(state)}, {"why", why}});
        if (auto ok = audit(who, "state", "Package", subject, detail); !ok) return fail(ok.error());
        if (auto ok = feed({.time = *package->state_at, .kind = "package", .subject = subject, .what = factory::name(state), .agent = {}, .reason = why, .detail = detail}); !ok)
            return fail(ok.error());
        if (state == PackageState::decommissioned)
            for (const auto& [id, ref] : bindings_)
                if (ref && ref->binding.package_name == name && ref->binding.package_version == version) board_.stop(id);
        documents_changed();
        news_for_people();
        std::vector<std::string> tried;
        if (state == PackageState::decommissioned)
            for (const auto& [deployment, known] : trials_)
                if (known.trial.to == subject) tried.push_back(deployment);
        for (const std::string& deployment : tried)
            if (auto ok = revert(trials_.at(deployment), fmt::format("{} was decommissioned{}{}", subject, why.empty() ? "" : ": ", why)); !ok) return fail(Errc::internal, ok.error().what);
        return std::move(*package);
    });
}

std::optional<WhyReason> CoreImpl::why_stopped(const Binding& binding)
{
    if (!board_.stopped(binding.id)) return std::nullopt;
    const auto package = writer_.read().package(binding.package_name, binding.package_version);
    const std::string command = fmt::format("millwright deployments rollback {} --rebind-waiting", binding.deployment);
    return WhyReason{"package_decommissioned", binding.deployment,
                     fmt::format("package '{}@{}' {}: no job of it starts (cancel it, or `{}` gives what waits another version)", binding.package_name, binding.package_version,
                                 package ? state_words(*package) : "was decommissioned", command), command};
}

Result<Document> CoreImpl::write_document(const std::optional<Document>& known, const std::string& kind, const std::string& name, const Json& spec, const Who& who,
                                          const std::string& action, VersionMove move)
{
    Document document{.kind = kind, .name = name, .uid = known ? known->uid : new_uid(), .spec = spec, .generation = known ? known->generation + 1 : 1,
                      .created = known ? known->created : clock_.now(), .changed = clock_.now(), .changed_by = who.name, .source = known ? known->source : std::string()};
    if (auto ok = writer_.put_document(document); !ok) return fail(ok.error());
    const auto attended = [](const Json& trigger) { return trigger["type"].as_string() == "attended"; };
    if (kind == "Environment" || kind == "Deployment" || (kind == "Trigger" && (attended(spec) || (known && attended(known->spec))))) news_for_people();
    Json detail = Json::object({{"generation", document.generation}});
    if (kind == "Deployment") {
        move.from = known ? known->spec["package"].as_string() : "";
        move.to = spec["package"].as_string();
        move.generation = document.generation;
        move.spec = spec;
        if (auto ok = writer_.put_version_move(document.uid, move); !ok) return fail(ok.error());
        detail.set("from", move.from).set("to", move.to);
        if (move.rebound > 0) detail.set("rebound", move.rebound);
        if (!move.why.empty()) detail.set("why", move.why);
    }
    if (auto ok = audit(who, action, kind, name, detail); !ok) return fail(ok.error());
    if (auto ok = feed({.time = document.changed, .kind = "resource", .subject = kind + "/" + name, .what = action, .agent = {}, .reason = move.why, .detail = detail}); !ok)
        return fail(ok.error());
    return document;
}

/// Every ready job of the deployment (of `version`, when it is not empty) goes to what its trigger makes jobs of now. All of it is written before memory changes: what fails here
/// is the disk, and then memory is read anew.
Status CoreImpl::rebind_waiting(const std::string& deployment, const std::string& version, const Who& who, VersionMoved& out)
{
    struct Step {
        std::int64_t from, to;
        std::size_t jobs;
    };
    std::vector<Step> steps;
    std::map<std::int64_t, std::vector<std::pair<JobKey, dispatch::Turn>>> asked;   // ready, too, and on no board before somebody approves
    for (const auto& [job, questions] : asking_) {
        if (!awaits_approval(job)) continue;
        const auto row = writer_.waiting_job(job);
        if (!row) return fail(row.error());
        asked[row->binding].emplace_back(job, turn_of(row->priority, row->created));
    }
    std::vector<BindingRef> waiting;
    for (const auto& [id, ref] : bindings_)
        if (ref && ref->binding.deployment == deployment && !ref->needs.is_canary() && (board_.ready_count(id) > 0 || asked.contains(id))) waiting.push_back(ref);
    const WallTime now = clock_.now();
    for (const BindingRef& old : waiting) {
        if (!version.empty() && version != old->binding.package_name + "@" + old->binding.package_version) continue;
        auto jobs = writer_.first_ready(old->binding.id, std::numeric_limits<std::int64_t>::max());
        if (!jobs) return fail(jobs.error());
        const std::size_t on_board = jobs->size();
        const auto& unapproved = asked[old->binding.id];
        jobs->insert(jobs->end(), unapproved.begin(), unapproved.end());
        BindingWish wish{.traced = old->binding.rules["trace"].as_bool(), .even_paused = true};
        if (old->needs.pinned) wish.agent = old->needs.agent;
        if (const auto& bound = old->needs.bound; bound && agent_ids_.contains(bound->agent)) {
            wish.bound = bound->agent;
            wish.pushed = bound->pushed;
        } else if (bound) {
            out.left += jobs->size();   // its agent is gone
            continue;
        }
        const auto next = binding_of_trigger(old->binding.trigger, wish);
        if (!next && next.error().code != Errc::not_found && next.error().code != Errc::conflict) return fail(next.error());
        if (!next || (*next)->binding.deployment != deployment) {
            out.left += jobs->size();
            continue;
        }
        const Binding& b = (*next)->binding;
        if (b.id == old->binding.id) continue;
        const std::string from = fmt::format("{}@{}", old->binding.package_name, old->binding.package_version), to = fmt::format("{}@{}", b.package_name, b.package_version);
        const Json detail = Json::object({{"by", who.name}, {"from", from}, {"to", to}, {"text", fmt::format("it waits for {} instead of {}", to, from)}});
        const auto changed = writer_.rebind_ready(old->binding.id, b.id);
        if (!changed) return fail(changed.error());
        for (const auto& [job, turn] : *jobs)
            if (auto ok = job_line(job, "rebound", now, 0, {}, {}, detail); !ok) return ok;
        steps.push_back({old->binding.id, b.id, on_board});
        out.rebound += static_cast<std::size_t>(*changed);
    }
    for (const Step& step : steps) {
        board_.put_waiting(step.from, 0);
        board_.put_waiting(step.to, board_.ready_count(step.to) + step.jobs);
    }
    return {};
}

void CoreImpl::move_deployment(VersionOrder order, Who who, Done<VersionMoved> done)
{
    queue_.submit<VersionMoved>(std::move(done), [this, order = std::move(order), who = std::move(who)]() -> Result<VersionMoved> {
        const std::string& name = order.deployment;
        auto known = writer_.read().document("Deployment", name);
        if (!known) return fail(known.error());
        if (known->generation != order.generation)
            return fail(Errc::conflict, fmt::format("Deployment '{}' was changed meanwhile by {} (generation {}, not {}): look again", name, known->changed_by, known->generation, order.generation));
        const auto package = order.spec["package"].as_string();
        const auto record = writer_.read().package(package.substr(0, package.find('@')), package.substr(package.find('@') + 1));
        if (!record) return fail(Errc::conflict, fmt::format("Deployment '{}': package '{}' is not there", name, package));
        if (record->state == PackageState::decommissioned)
            return fail(Errc::conflict, fmt::format("Deployment '{}': package '{}' {}", name, package, state_words(*record)));

        VersionMoved out;
        out.document = *known;
        VersionMove move{.time = clock_.now(), .who = who.name, .what = order.what, .from = {}, .to = {}, .why = order.why, .spec = {}};
        if (known->spec != order.spec) {
            // The jobs are bound to what the document says: it is written first, and its line in the history once they are counted.
            Document changed = *known;
            changed.spec = order.spec;
            ++changed.generation;
            changed.changed = clock_.now();
            changed.changed_by = who.name;
            if (auto ok = writer_.put_document(changed); !ok) return fail(ok.error());
        }
        if (auto ok = end_trial(name); !ok) return fail(Errc::internal, ok.error().what);
        documents_changed();
        if (order.rebind_waiting)
            if (auto ok = rebind_waiting(name, {}, who, out); !ok) return fail(Errc::internal, ok.error().what);
        move.rebound = out.rebound;
        if (known->spec != order.spec) {
            auto written = write_document(*known, "Deployment", name, order.spec, who, order.what, std::move(move));
            if (!written) return fail(written.error());
            out.document = std::move(*written);
        } else if (out.rebound > 0) {
            if (auto ok = audit(who, "rebind", "Deployment", name, Json::object({{"rebound", out.rebound}, {"why", order.why}})); !ok) return fail(ok.error());
        }
        if (auto ok = dispatch(); !ok) return fail(ok.error());
        return out;
    });
}

}  // namespace mill::factory::core
