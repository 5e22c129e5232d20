#include "factory/dispatch/rules.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "platform/base/text.h"

namespace mill::factory::dispatch {
namespace {

std::string words_of(const Json& value) { return value.is_string() ? value.as_string() : dump_json(value); }

void read_labels(const Json& labels, std::map<std::string, std::string>& out)
{
    for (const auto& [key, value] : labels.as_object()) out[key] = words_of(value);
    for (const Json& item : labels.as_array())
        if (const std::size_t at = item.as_string().find('='); at != std::string::npos)
            out[item.as_string().substr(0, at)] = item.as_string().substr(at + 1);
}

void read_members(const Json& node, const std::string& group, std::vector<Json> around, std::vector<Member>& out)
{
    if (!node["requires"].empty()) around.push_back(node["requires"]);
    for (const Json& inner : node["groups"].as_array()) {
        const std::string& name = inner["name"].as_string();
        read_members(inner, group.empty() ? name : group + "/" + name, around, out);
    }
    for (const Json& pattern : node["agents"].as_array()) out.push_back({pattern.as_string(), group, around});
}

/// Numbers of "1.22.3-x", as far as they go.
std::vector<long> numbers(std::string_view version)
{
    std::vector<long> out;
    while (!version.empty()) {
        long value = 0;
        const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), value);
        if (error != std::errc()) break;
        out.push_back(value);
        version.remove_prefix(static_cast<std::size_t>(end - version.data()));
        if (version.empty() || version.front() != '.') break;
        version.remove_prefix(1);
    }
    while (!out.empty() && out.back() == 0) out.pop_back();
    return out;
}

/// ">=0.3", ">1", "<2", "<=2", "1.2" (this or below it: 1.2.x).
bool satisfies(std::string_view version, std::string_view constraint)
{
    std::string_view op = "=";
    for (const std::string_view candidate : {">=", "<=", "==", ">", "<", "="})
        if (constraint.starts_with(candidate)) {
            op = candidate;
            constraint.remove_prefix(candidate.size());
            break;
        }
    while (constraint.starts_with(' ')) constraint.remove_prefix(1);
    if (constraint.empty() || constraint == "*") return true;
    const auto have = numbers(version), want = numbers(constraint);
    if (op == ">=") return have >= want;
    if (op == "<=") return have <= want;
    if (op == ">") return have > want;
    if (op == "<") return have < want;
    return have.size() >= want.size() && std::equal(want.begin(), want.end(), have.begin());
}

/// The fact with this name; programs may be a list of names, or a map of name to version or {version}.
const Json* program(const Json& programs, std::string_view name)
{
    if (const Json* found = programs.find(name)) return found->is_null() || (found->is_bool() && !found->as_bool()) ? nullptr : found;
    for (const Json& item : programs.as_array())
        if (item.as_string() == name || item["name"].as_string() == name) return &item;
    return nullptr;
}

void check_program(const Json& facts, std::string_view name, std::string_view constraint, std::vector<std::string>& out)
{
    const Json* found = program(facts["programs"], name);
    if (!found) {
        out.push_back(fmt::format("has no program '{}'", name));
        return;
    }
    if (constraint.empty() || constraint == "*") return;
    const std::string& version = found->is_object() ? (*found)["version"].as_string() : found->as_string();
    if (!satisfies(version, constraint)) out.push_back(fmt::format("has '{}' {}, {} is asked for", name, version.empty() ? "of unknown version" : version, constraint));
}

void check_programs(const Json& facts, const Json& wanted, std::vector<std::string>& out)
{
    for (const Json& item : wanted.as_array()) check_program(facts, item.is_object() ? item["name"].as_string() : item.as_string(), item["version"].as_string(), out);
    for (const auto& [name, constraint] : wanted.as_object()) check_program(facts, name, constraint.as_string(), out);
    if (wanted.is_string()) check_program(facts, wanted.as_string(), {}, out);
}

/// `name` as it is said: "isolation.uid" for a member of a member.
void check_fact(const Json& have, const std::string& name, const Json& wanted, std::vector<std::string>& out)
{
    if (wanted.is_object() && have.is_object() && !have.contains("name")) {
        for (const auto& [key, inner] : wanted.as_object()) check_fact(have[key], name + "." + key, inner, out);
        return;
    }
    const Json& plain = have.is_object() && have.contains("name") ? have["name"] : have;   // os {name, version}
    const auto fits = [&](const Json& one) {
        if (plain.is_array()) return std::find(plain.as_array().begin(), plain.as_array().end(), one) != plain.as_array().end();
        return plain == one;
    };
    const bool ok = wanted.is_array() ? std::any_of(wanted.as_array().begin(), wanted.as_array().end(), fits) : fits(wanted);
    if (!ok) out.push_back(fmt::format("has {} {}, {} is asked for", name, have.is_null() ? "unknown" : words_of(plain), words_of(wanted)));
}

}  // namespace

Needs read_needs(std::string trigger, std::string environment, const Json& rules)
{
    Needs out;
    out.trigger = std::move(trigger);
    out.environment = std::move(environment);
    out.facts = rules["requires"];
    const std::string& run_on = rules["runOn"].as_string();
    out.run_on = run_on == "attended" ? RunOn::attended : run_on == "any" ? RunOn::any : RunOn::unattended;
    read_labels(rules["labels"], out.labels);
    read_labels(out.facts["labels"], out.labels);
    if (out.facts.contains("labels")) out.facts.erase("labels");
    for (const Json& name : rules["machineCredentials"].as_array()) out.machine_credentials.push_back(name.as_string());
    out.concurrency = static_cast<std::uint32_t>(std::clamp<std::int64_t>(rules["concurrency"].as_integer(), 0, 1'000'000));
    for (const Json& name : rules["locks"].as_array()) out.locks.push_back(name.as_string());
    if (const auto limit = parse_duration(rules["offlineLimit"].as_string()); limit) out.offline_limit = *limit;
    out.group = rules["group"].as_string();
    out.agent = rules[rules.contains("pinned") ? "pinned" : "agent"].as_string();
    out.canary = !out.agent.empty() && !rules.contains("pinned");
    if (const Json& bound = rules["bound"]; bound.is_object())
        out.bound = Needs::Bound{bound["agent"].as_string(), bound["name"].as_string(), bound["user"].as_string(), bound["pushed"].as_bool()};
    return out;
}

Environment read_environment(std::string name, const Json& spec)
{
    Environment out{.name = std::move(name), .documented = true, .members = {}};
    read_members(spec, "", {}, out.members);
    out.run_as = spec["runAs"].as_string();
    if (spec["access"].as_string() == "private") out.user = spec["user"].as_string();
    for (const auto& [lock, slots] : spec["locks"].as_object()) out.locks[lock] = static_cast<std::uint32_t>(std::clamp<std::int64_t>(slots.as_integer(), 1, 1'000'000));
    return out;
}

bool has_member(const Member& member, const AgentRecord& agent)
{
    constexpr std::string_view kLabel = "label:", kUser = "user:";
    const std::string_view pattern = member.pattern;
    if (pattern.starts_with(kUser)) return !agent.user.empty() && matches_pattern(pattern.substr(kUser.size()), agent.user);
    if (!pattern.starts_with(kLabel)) return matches_pattern(pattern, agent.name);
    const std::string_view rest = pattern.substr(kLabel.size());
    const std::size_t at = rest.find('=');
    const Json* value = agent.labels.find(rest.substr(0, at));
    if (!value) return false;
    return at == std::string_view::npos || matches_pattern(rest.substr(at + 1), words_of(*value));
}

bool is_in_group(const Member& member, std::string_view group)
{
    return !group.empty() && fmt::format("/{}/", member.group).find(fmt::format("/{}/", group)) != std::string::npos;
}

std::vector<std::string> missing_facts(const Json& wanted, const AgentRecord& agent)
{
    std::vector<std::string> out;
    for (const auto& [key, value] : wanted.as_object()) {
        if (key == "programs") {
            check_programs(agent.facts, value, out);
        } else if (key == "labels") {
            std::map<std::string, std::string> labels;
            read_labels(value, labels);
            for (const auto& [label, text] : labels)
                if (!has_member({fmt::format("label:{}={}", label, text), {}, {}}, agent)) out.push_back(fmt::format("lacks label {}={}", label, text));
        } else if (key == "millwright") {
            const std::string& version = agent.facts["millwright"].as_string();
            if (!satisfies(version, value.as_string())) out.push_back(fmt::format("runs millwright {}, {} is asked for", version.empty() ? "of unknown version" : version, value.as_string()));
        } else {
            check_fact(agent.facts[key], key, value, out);
        }
    }
    return out;
}

}  // namespace mill::factory::dispatch
