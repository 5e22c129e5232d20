// Could a deployment's jobs run, and where: computed from what holds when it is asked, with the reasons that `why` gives.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/core/core_impl.h"

namespace mill::factory::core {
namespace {

using Can = PreflightAgent::Can;

constexpr std::size_t kNamesInSummary = 5;

/// Of the document's credentials those that no job could get.
void credential_problems(Reader& read, const Json& credentials, const std::string& environment, WallTime now, std::vector<WhyReason>& out)
{
    for (const auto& [name, target] : credentials.as_object()) {
        const auto stored = read.credential(target.as_string());
        if (!stored) {
            const std::string command = fmt::format("millwright credentials set {} --kind KIND", target.as_string());
            out.push_back({"missing_credential", target.as_string(), fmt::format("credential '{}' ({} of the package) is not there any more (`{}`)", target.as_string(), name, command), command});
            continue;
        }
        if (const auto expires = parse_time(stored->about["expires"].as_string()); expires && *expires <= now)
            out.push_back({"credential_expired", stored->name, fmt::format("credential '{}' has expired at {}", stored->name, format_time(*expires)), ""});
        if (const std::string& only = stored->about["environment"].as_string(); !only.empty() && only != environment)
            out.push_back({"credential_elsewhere", stored->name, fmt::format("credential '{}' is for environment '{}' alone, not for '{}'", stored->name, only, environment), ""});
    }
}

/// What a job would get, and who says so.
Json values_of(const Document& deployment, const PackageRecord& package)
{
    Json out = Json::object();
    for (const char* what : {"variables", "credentials"}) {
        Json found = Json::object();
        const auto add = [&](const std::string& name, const Json& value, std::string_view from) { found.set(name, Json::object({{"value", value}, {"from", from}})); };
        for (const auto& [name, declared] : package.manifest[what].as_object())
            if (declared.contains("default")) add(name, declared["default"], "package");
        for (const auto& [name, value] : deployment.spec["inherited"][what].as_object()) add(name, value, "environment");
        for (const auto& [name, value] : deployment.spec[what].as_object()) add(name, value, "deployment");
        out.set(what, std::move(found));
    }
    return out;
}

}  // namespace

void CoreImpl::preflight(std::string name, std::size_t most, Done<Preflight> done)
{
    queue_.submit<Preflight>(std::move(done), [this, name = std::move(name), most]() -> Result<Preflight> {
        Reader& read = writer_.read();
        const auto deployment = read.document("Deployment", name);
        if (!deployment) return fail(deployment.error());
        const std::string& named = deployment->spec["package"].as_string();
        const auto package = read.package(named.substr(0, named.find('@')), named.substr(named.find('@') + 1));
        if (!package) return fail(Errc::conflict, fmt::format("deployment '{}' names package '{}', which was not published", name, named));
        const auto triggers = read.documents("Trigger");
        if (!triggers) return fail(triggers.error());

        Preflight out{.deployment = name, .package = named, .environment = deployment->spec["environment"].as_string(), .summary = {}, .problems = {}, .values = Json::object(), .agents = {}};
        out.values = values_of(*deployment, *package);
        if (package->state == PackageState::decommissioned) {
            out.blocked = true;
            const std::string command = fmt::format("millwright deployments rollback {}", name);
            out.problems.push_back({"package_decommissioned", named, fmt::format("package '{}' {}: it makes no jobs (`{}`)", named, state_words(*package), command), command});
        } else if (package->state == PackageState::deprecated) {
            out.problems.push_back({"package_deprecated", named, fmt::format("package '{}' {}", named, state_words(*package)), ""});
        }
        if (auto tried = trial_words(name)) out.problems.push_back(std::move(*tried));
        const auto unsigned_why = unsigned_words(*deployment, *package);
        if (!unsigned_why) return fail(unsigned_why.error());
        if (!unsigned_why->empty()) {
            out.blocked = true;
            out.problems.push_back({"package_unsigned", named, *unsigned_why, ""});
        }
        // Its triggers may ask for different agents: one that fits any of them can run it.
        std::vector<KnownBinding> wishes;
        std::size_t all = 0, paused = 0;
        const auto wish = [&](const Json& trigger) {
            KnownBinding known;
            known.binding = binding_by(trigger, *deployment, *package);
            known.needs = dispatch::read_needs("", out.environment, known.binding.rules);
            const auto same = [&](const KnownBinding& other) { return other.needs.run_on == known.needs.run_on; };
            if (std::none_of(wishes.begin(), wishes.end(), same)) wishes.push_back(std::move(known));
        };
        for (const Document& trigger : *triggers) {
            if (trigger.spec["deployment"].as_string() != name) continue;
            ++all;
            if (trigger.spec["paused"].as_bool()) ++paused;
            wish(trigger.spec);
        }
        if (all == 0) {
            wish(Json::object({{"runOn", "any"}}));
            out.problems.push_back({"no_trigger", name, "no trigger starts it yet", ""});
        } else if (paused == all) {
            out.problems.push_back({"trigger_paused", name, all == 1 ? "its trigger is paused" : fmt::format("its {} triggers are paused", all), ""});
        }
        credential_problems(read, wishes.front().binding.credentials, out.environment, clock_.now(), out.problems);
        if (auto held = why_hold(out.environment)) {
            out.blocked = true;
            out.problems.push_back(std::move(*held));
        }

        const dispatch::Environment& environment = board_.environment(out.environment);
        std::vector<const Agent*> sorted;
        for (const auto& [key, agent] : agents_) sorted.push_back(&agent);
        std::sort(sorted.begin(), sorted.end(), [](const Agent* a, const Agent* b) { return a->record.name < b->record.name; });
        std::vector<PreflightAgent> shown[3];
        std::vector<WhyReason> strangers;
        std::vector<std::string> ready;
        for (const Agent* agent : sorted) {
            AgentView best = view_of(wishes.front(), environment, *agent);
            for (std::size_t i = 1; i < wishes.size(); ++i) {
                AgentView other = view_of(wishes[i], environment, *agent);
                if (std::pair(other.can, other.reasons.size()) < std::pair(best.can, best.reasons.size())) best = std::move(other);
            }
            if (!best.member) {
                if (strangers.size() < most) strangers.push_back(std::move(best.reasons.front()));
                continue;
            }
            ++(best.can == Can::now ? out.now : best.can == Can::later ? out.later : out.no);
            if (best.can == Can::now && ready.size() < kNamesInSummary) ready.push_back(agent->record.name);
            auto& list = shown[static_cast<std::size_t>(best.can)];
            if (list.size() < most) list.push_back({agent->record.name, agent->record.facts["millwright"].as_string(), best.can, std::move(best.reasons)});
        }
        for (auto& list : shown)
            for (PreflightAgent& agent : list) out.agents.push_back(std::move(agent));
        const std::uint64_t members = out.now + out.later + out.no;
        if (members == 0) why_nobody(wishes.front(), environment, std::move(strangers), out.problems);

        const std::string where = fmt::format("of environment '{}'", out.environment);
        if (out.blocked)
            out.summary = std::find_if(out.problems.begin(), out.problems.end(), [](const WhyReason& one) {
                              return one.code == "package_decommissioned" || one.code == "package_unsigned" || one.code == "awaits_reports";
                          })->text;
        else if (out.now > 0)
            out.summary = fmt::format("{} of {} agents {} can run it now: {}{}", out.now, members, where, fmt::join(ready, ", "), out.now > ready.size() ? ", …" : "");
        else if (members == 0)
            out.summary = fmt::format("no agent can run it: there is none in environment '{}'", out.environment);
        else if (out.later > 0)
            out.summary = fmt::format("no agent can run it now; {} of {} {} could when they are there and free: {}", out.later, members, where, out.agents.front().reasons.front().text);
        else
            out.summary = fmt::format("none of {} agents {} can run it: {}", members, where, out.agents.empty() ? "" : out.agents.front().reasons.front().text);
        return out;
    });
}

}  // namespace mill::factory::core
