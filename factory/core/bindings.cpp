#include <algorithm>

#include <fmt/format.h>

#include "factory/core/core_impl.h"
#include "platform/base/log.h"

namespace mill::factory::core {
namespace {

/// What the schema of an input has to say of passwords; null: nothing. One that cannot be read: all of it may be one.
Json secrets_of(const Result<Json>& inputs, const std::string& workflow)
{
    if (!inputs && inputs.error().code != Errc::not_found) return Json::object({{"writeOnly", true}});
    if (!inputs) return {};
    const Json& schema = (*inputs)[workflow];
    const std::string text = dump_json(schema);
    for (const char* word : {"\"password\"", "\"writeOnly\"", "\"$dynamicRef\"", "\"$ref\""})
        if (text.find(word) != std::string::npos) return schema;
    return {};
}

BindingRef known(Binding binding, Json secrets)
{
    auto out = std::make_shared<KnownBinding>();
    out->secrets = std::move(secrets);
    // Validated when the package and the deployment were saved; what cannot be read grants nothing.
    if (const auto permissions = protocol::parse_permissions(binding.permissions, "permissions"); permissions) out->permissions = *permissions;
    out->needs = dispatch::read_needs(binding.trigger, binding.environment, binding.rules);
    out->binding = std::move(binding);
    return out;
}

Json over(Json below, const Json& above)
{
    for (const auto& [name, value] : above.as_object()) below.set(name, value);
    return below;
}

Json with_defaults(const Json& declared, const Json& given)
{
    Json out = Json::object();
    for (const auto& [name, variable] : declared.as_object())
        if (variable.contains("default")) out.set(name, variable["default"]);
    for (const auto& [name, value] : given.as_object()) out.set(name, value);
    return out;
}

}  // namespace

Result<BindingRef> CoreImpl::known_binding(std::int64_t id)
{
    BindingRef& ref = bindings_[id];
    if (ref) return ref;
    auto read = writer_.binding(id);
    if (!read) {
        bindings_.erase(id);
        return fail(Errc::corrupt, read.error().what);
    }
    Json secrets = secrets_of(writer_.read().package_inputs(read->package_digest), read->workflow);
    ref = known(std::move(*read), std::move(secrets));
    board_.put_needs(id, ref->needs);
    const auto package = writer_.read().package(ref->binding.package_name, ref->binding.package_version);
    if (package && package->state == PackageState::decommissioned) board_.stop(id);
    return ref;
}

Binding CoreImpl::binding_by(const Json& spec, const Document& deployment, const PackageRecord& package)
{
    Binding b;
    b.deployment = deployment.name;
    b.environment = deployment.spec["environment"].as_string();
    b.workflow = spec["workflow"].is_string() ? spec["workflow"].as_string() : "main";
    b.package_name = package.name;
    b.package_version = package.version;
    b.package_digest = package.digest;
    b.repeatable = package.manifest["repeatable"].as_bool();
    // `inherited`, of the environment, is settled when one of the two is saved, as `granted` is.
    const Json& inherited = deployment.spec["inherited"];
    b.variables = over(with_defaults(package.manifest["variables"], inherited["variables"]), deployment.spec["variables"]);
    b.credentials = over(inherited["credentials"].is_object() ? inherited["credentials"] : Json::object(), deployment.spec["credentials"]);
    // `granted`: with the variables put in.
    for (const Json* permissions : {&deployment.spec["granted"], &deployment.spec["permissions"], &package.manifest["permissions"]})
        if (b.permissions.is_null() && permissions->is_object()) b.permissions = *permissions;
    if (!b.permissions.is_object()) b.permissions = Json::object();
    b.rules = Json::object();
    const auto rule = [&](const char* key, const Json& value) {
        if (!value.is_null()) b.rules.set(key, value);
    };
    rule("runOn", spec["runOn"].is_null() && spec["type"].as_string() == "attended" ? Json("attended") : spec["runOn"]);
    rule("requires", package.manifest["requires"]);
    rule("labels", deployment.spec["labels"]);
    rule("concurrency", spec["concurrency"]);
    if (Json locks = both_locks(spec, deployment.spec); !locks.empty()) b.rules.set("locks", std::move(locks));
    rule("priority", spec["priority"]);
    rule("expiration", spec["expiration"]);
    rule("stopAfterFailures", spec["stopAfterFailures"]);
    rule("approval", spec["approval"]);
    rule("offlineLimit", deployment.spec["offlineLimit"]);
    // Granted credentials that the agent's machine has to hold. A credential may move while the deployment stays: it is part of the key.
    Json held = Json::array();
    for (const Json& name : b.permissions["credentials"].as_array())
        if (const Json* target = b.credentials.find(name.as_string()))
            if (const auto stored = writer_.read().credential(target->as_string()); stored && stored->about["held"].as_string() == "machine") {
                held.push(Json(stored->name));
                b.key += ":held=" + stored->name;
            }
    if (!held.empty()) b.rules.set("machineCredentials", std::move(held));
    return b;
}

Result<BindingRef> CoreImpl::binding_of_trigger(const std::string& trigger, BindingWish wish)
{
    std::string cached = wish.traced ? trigger + "\ntraced" : trigger;
    if (!wish.bound.empty()) {
        const auto agent = agent_by_id(wish.bound);
        if (!agent) return fail(agent.error());
        cached += fmt::format("\nbound {} {}{}", wish.bound, (*agent)->record.user, wish.pushed ? " pushed" : "");   // whose it is now
    }
    if (!wish.agent.empty()) cached += "\nagent=" + wish.agent;
    if (wish.version != Version::current) cached += wish.version == Version::tried ? "\ntried" : "\nbefore";
    if (const auto found = trigger_bindings_.find(cached); found != trigger_bindings_.end()) return found->second;
    Reader& read = writer_.read();
    const auto document = read.document("Trigger", trigger);
    if (!document) return fail(document.error());
    const Json& spec = document->spec;
    const bool paused = spec["paused"].as_bool();
    if (paused && !wish.even_paused)
        return fail(Errc::conflict, fmt::format("trigger '{}' is paused{}{}", trigger, spec["pausedWhy"].is_string() ? ": " : "",
                                                spec["pausedWhy"].as_string()));
    auto deployment = read.document("Deployment", spec["deployment"].as_string());
    if (!deployment)
        return fail(Errc::conflict, fmt::format("trigger '{}' names deployment '{}', which does not exist", trigger, spec["deployment"].as_string()));
    const auto known_trial = trials_.find(deployment->name);
    const Trial* trial = known_trial == trials_.end() ? nullptr : &known_trial->second.trial;
    if (trial != nullptr && wish.version == Version::before) {
        deployment->spec = trial->spec;
        deployment->generation = trial->generation;
    }
    const std::string& named = deployment->spec["package"].as_string();
    const std::size_t at = named.find('@');
    const auto package = read.package(named.substr(0, at), at == std::string::npos ? "" : named.substr(at + 1));
    if (!package)
        return fail(Errc::conflict, fmt::format("deployment '{}' names package '{}', which was not published", deployment->name, named));
    if (package->state == PackageState::decommissioned)
        return fail(Errc::conflict, fmt::format("trigger '{}' makes no jobs: package '{}' of deployment '{}' {}", trigger, named, deployment->name, state_words(*package)));
    const auto unsigned_why = unsigned_words(*deployment, *package);
    if (!unsigned_why) return fail(unsigned_why.error());
    if (!unsigned_why->empty()) return fail(Errc::conflict, fmt::format("trigger '{}' makes no jobs: {}", trigger, *unsigned_why));

    Binding b = binding_by(spec, *deployment, *package);
    b.key = fmt::format("{}:{}:{}:{}:{}{}{}", document->uid, document->generation, deployment->uid, deployment->generation, package->digest,
                        wish.traced ? ":traced" : "", b.key);
    if (trial != nullptr && wish.version == Version::tried) {
        b.rules.set("group", trial->group);
        b.key += ":group=" + trial->group;
    }
    if (!wish.agent.empty()) {
        b.rules.set("pinned", wish.agent);
        b.key += ":pinned=" + wish.agent;
    }
    b.trigger = trigger;
    if (!wish.bound.empty()) {
        const auto agent = agent_by_id(wish.bound);
        if (!agent) return fail(agent.error());
        const AgentRecord& of = (*agent)->record;
        Json bound = Json::object({{"agent", of.id}, {"name", of.name}, {"user", of.user}});
        if (wish.pushed) bound.set("pushed", true);
        b.rules.set("bound", std::move(bound));
        b.key += fmt::format(":bound={}:{}{}", of.id, of.user, wish.pushed ? ":pushed" : "");
    }
    if (wish.traced) b.rules.set("trace", true);
    const auto id = writer_.put_binding(b);
    if (!id) return fail(id.error());
    auto ref = known_binding(*id);
    if (ref && !paused) trigger_bindings_[cached] = *ref;
    return ref;
}

/// A trigger whose last N jobs all failed since it was last changed (or resumed) makes no more of them.
Status CoreImpl::pause_when_failing(const Binding& binding)
{
    const std::int64_t most = binding.rules["stopAfterFailures"].as_integer();
    if (most <= 0) return {};
    auto document = writer_.read().document("Trigger", binding.trigger);
    if (!document) return document.error().code == Errc::not_found ? Status() : fail(document.error());
    if (document->spec["paused"].as_bool() || document->spec["stopAfterFailures"].as_integer() != most) return {};
    JobQuery query;
    query.trigger = binding.trigger;
    query.since = document->changed;
    query.limit = static_cast<std::size_t>(most) + active_.size() + 100;   // those that have not ended stand among them
    const auto jobs = writer_.read().jobs(query);
    if (!jobs) return fail(jobs.error());
    std::vector<const JobRecord*> ended;
    for (const JobRecord& job : jobs->items)
        if (job.state == protocol::JobState::successful || job.state == protocol::JobState::failed) ended.push_back(&job);
    if (ended.size() < static_cast<std::size_t>(most)) return {};
    std::stable_sort(ended.begin(), ended.end(), [](const JobRecord* a, const JobRecord* b) { return a->ended > b->ended; });
    for (std::int64_t i = 0; i < most; ++i)
        if (ended[static_cast<std::size_t>(i)]->state != protocol::JobState::failed) return {};
    const std::string why = fmt::format("its last {} jobs failed, the last one {}", most, ended.front()->uid);
    document->spec.set("paused", true).set("pausedWhy", why);
    ++document->generation;
    document->changed = clock_.now();
    document->changed_by = "stopAfterFailures";
    if (auto ok = writer_.put_document(*document); !ok) return ok;
    if (auto ok = audit({"stopAfterFailures", {}}, "pause", "Trigger", binding.trigger, Json::object({{"why", why}})); !ok) return ok;
    if (auto ok = feed({.time = document->changed, .kind = "resource", .subject = "Trigger/" + binding.trigger, .what = "paused", .agent = {}, .reason = why, .detail = {}}); !ok)
        return ok;
    documents_changed();
    return {};
}

void CoreImpl::documents_changed()
{
    trigger_bindings_.clear();
    waiting_texts_.clear();
    signatures_.clear();
    publishers_.reset();
    load_notifiers();
    load_followers();
    load_file_triggers();
    if (auto ok = load_schedules(); !ok) log::error("core", "schedules: {}", ok.error().what);
}

}  // namespace mill::factory::core
