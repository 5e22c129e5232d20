#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/resources/kinds.h"
#include "factory/resources/notifier_parts.h"
#include "factory/resources/resource.h"
#include "factory/resources/trigger_parts.h"
#include "platform/base/fields.h"

namespace mill::factory {

Result<Json> normalise_deployment(const Json& body, const std::string& where)
{
    Fields fields(body, where);
    Json out = Json::object();
    if (const std::string text = fields.text("description", ""); !text.empty()) out.set("description", Json(text));
    const std::string package = fields.text("package");
    const auto at = package.find('@');
    if (!package.empty() && (at == std::string::npos || at == 0 || at + 1 == package.size()))
        fields.mistake("package", fmt::format("must be NAME@VERSION, such as order-status@1.2.0; found '{}'", package));
    out.set("package", Json(package));
    out.set("environment", Json(fields.text("environment")));
    out.set("variables", fields.object("variables", Json::object()));
    Json credentials = fields.object("credentials", Json::object());
    for (const auto& [name, value] : credentials.as_object())
        if (!value.is_string() || value.as_string().empty())
            fields.mistake("credentials", fmt::format("maps '{}' to {}, expected the name of a credential", name, value.kind_name()));
    out.set("credentials", std::move(credentials));
    const Json permissions = fields.any("permissions", Json("as-requested"));
    if (permissions.is_object()) {
        if (auto parsed = protocol::parse_permissions(permissions, "permissions"); !parsed)
            fields.mistake("permissions", fmt::format("are wrong: {}", parsed.error().what));
    } else if (permissions.as_string() != "as-requested") {
        fields.mistake("permissions", "must be as-requested or a map as in package.yaml");
    }
    out.set("permissions", permissions);
    if (fields.boolean("allowDraft", false)) out.set("allowDraft", true);   // left out when it is not said: documents of before stay as they are
    read_locks(fields, out);
    if (const Json canary = fields.object("canary", Json()); canary.is_object()) {
        Fields parts(canary, where + ", canary");
        out.set("canary", Json::object({{"group", parts.text("group")}, {"jobs", parts.integer("jobs", 1, 10'000, 10)}}));
        if (auto done = parts.done(); !done) fields.mistake("canary", done.error().what);
    }
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return out;
}

namespace {

tl::unexpected<Refusal> refuse(Errc code, std::string what, std::vector<std::string> missing = {})
{
    return tl::unexpected<Refusal>(Refusal{Error{code, std::move(what)}, std::move(missing)});
}

bool has_type(const Json& value, std::string_view type)
{
    if (type == "string") return value.is_string();
    if (type == "integer") return value.is_integer() || (value.is_number() && Json(value.as_integer()) == value);
    if (type == "number") return value.is_number();
    if (type == "boolean") return value.is_bool();
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    return true;
}

/// Names of the groups of an environment, those within others as "berlin/night-shift".
void group_names(const Json& node, const std::string& around, std::vector<std::string>& out)
{
    for (const Json& group : node["groups"].as_array()) {
        out.push_back(around.empty() ? group["name"].as_string() : around + "/" + group["name"].as_string());
        group_names(group, out.back(), out);
    }
}

void check_canary(const Json& spec, const References& references, std::vector<std::string>& mistakes)
{
    if (!spec["canary"].is_object()) return;
    const std::string& environment = spec["environment"].as_string();
    const std::string& wanted = spec["canary"]["group"].as_string();
    std::vector<std::string> names;
    group_names(references.spec(ResourceKind::environment, environment), "", names);
    const auto is_it = [&](const std::string& name) { return name == wanted || name.ends_with("/" + wanted); };
    if (std::none_of(names.begin(), names.end(), is_it))
        mistakes.push_back(fmt::format("canary names group '{}', environment '{}' has {}", wanted, environment,
                                       names.empty() ? "no groups (give it `groups:`)" : fmt::format("{}", fmt::join(names, ", "))));
}

void check_variables(const Json& given, const workflows::Manifest& manifest, std::vector<std::string>& mistakes)
{
    for (const auto& [name, value] : given.as_object()) {
        const auto declared = manifest.variables.find(name);
        if (declared == manifest.variables.end()) {
            std::vector<std::string> known;
            for (const auto& [each, variable] : manifest.variables) known.push_back(each);
            mistakes.push_back(known.empty() ? fmt::format("variable '{}': the package declares none", name)
                                             : fmt::format("variable '{}' is not declared by the package (it has {})", name, fmt::join(known, ", ")));
        } else if (!has_type(value, declared->second.type)) {
            mistakes.push_back(fmt::format("variable '{}' must be of type {}, found {}", name, declared->second.type, value.kind_name()));
        }
    }
    for (const auto& [name, variable] : manifest.variables)
        if (variable.required && variable.fallback.is_null() && !given.contains(name))
            mistakes.push_back(fmt::format("variable '{}' ({}) is required by the package and has no value", name, variable.type));
}

void check_credentials(const Json& given, const workflows::Manifest& manifest, const References& references,
                       std::vector<std::string>& mistakes)
{
    for (const auto& [name, value] : given.as_object()) {
        const auto declared = manifest.credentials.find(name);
        if (declared == manifest.credentials.end()) {
            mistakes.push_back(fmt::format("credential '{}' is not declared by the package", name));
            continue;
        }
        const auto kind = references.credential_kind(value.as_string());
        if (!kind)
            mistakes.push_back(fmt::format("credential '{}' refers to '{}', which is not there (millwright credentials set {} --kind {})",
                                           name, value.as_string(), value.as_string(), declared->second));
        else if (*kind != declared->second && declared->second != "generic")
            mistakes.push_back(fmt::format("credential '{}' must be of kind {}, but '{}' is of kind {}", name, declared->second,
                                           value.as_string(), *kind));
    }
    for (const auto& [name, kind] : manifest.credentials)
        if (!given.contains(name))
            mistakes.push_back(fmt::format("credential '{}' (kind {}) of the package is not bound: credentials: {{ {}: NAME }}", name, kind, name));
}

}  // namespace

/// What the package asks for, `asked`, of which `granted` has everything: a job gets no more than its package needs. Limits are the
/// deployment's to set; those that it does not `state` are the package's.
static protocol::Permissions both_allow(const protocol::Permissions& asked, const protocol::Permissions& granted, const Json& stated)
{
    protocol::Permissions out = asked;
    const Limits& from = granted.limits;
    if (stated.contains("memory")) out.limits.memory = from.memory;
    if (stated.contains("cpu")) out.limits.cpu = from.cpu;
    if (stated.contains("time")) out.limits.time = from.time;
    if (stated.contains("idle")) out.limits.idle = from.idle;
    if (stated.contains("processes")) out.limits.processes = from.processes;
    if (stated.contains("output")) out.limits.output = from.output;
    out.limits.stated = out.limits.stated || from.stated;
    return out;
}

/// What the environment says and the deployment does not, of what the package declares.
static Json inherited(const Json& environment, const Json& own, const workflows::Manifest& manifest)
{
    Json variables = Json::object(), credentials = Json::object(), out = Json::object();
    for (const auto& [name, value] : environment["variables"].as_object())
        if (manifest.variables.contains(name) && !own["variables"].contains(name)) variables.set(name, value);
    for (const auto& [name, value] : environment["credentials"].as_object())
        if (manifest.credentials.contains(name) && !own["credentials"].contains(name)) credentials.set(name, value);
    if (!variables.empty()) out.set("variables", std::move(variables));
    if (!credentials.empty()) out.set("credentials", std::move(credentials));
    return out;
}

static Json both(const Json& inherited, const Json& own)
{
    Json out = inherited.is_object() ? inherited : Json::object();
    for (const auto& [name, value] : own.as_object()) out.set(name, value);
    return out;
}

static tl::expected<void, Refusal> check_deployment(ResourceDocument& document, const References& references,
                                                    const Json& granted_before, bool accept)
{
    Json& spec = document.spec;
    const std::string where = fmt::format("Deployment '{}'", document.name);
    const std::string& package = spec["package"].as_string();
    const std::string name = package.substr(0, package.find('@')), version = package.substr(package.find('@') + 1);
    const auto manifest = references.manifest(name, version);
    if (!manifest) {
        const auto versions = references.versions(name);
        return refuse(Errc::conflict, versions.empty()
                                          ? fmt::format("{}: package '{}' is not there (millwright publish FILE.mwp)", where, package)
                                          : fmt::format("{}: package '{}' has no version {}; there are {}", where, name, version,
                                                        fmt::join(versions, ", ")));
    }
    if (!references.has(ResourceKind::environment, spec["environment"].as_string()))
        return refuse(Errc::conflict, fmt::format("{}: environment '{}' is not there", where, spec["environment"].as_string()));
    const Json from_environment = inherited(references.spec(ResourceKind::environment, spec["environment"].as_string()), spec, *manifest);
    spec.erase("inherited");
    if (!from_environment.empty()) spec.set("inherited", from_environment);
    const Json given = both(from_environment["variables"], spec["variables"]);
    std::vector<std::string> mistakes;
    check_canary(spec, references, mistakes);
    check_variables(given, *manifest, mistakes);
    check_credentials(both(from_environment["credentials"], spec["credentials"]), *manifest, references, mistakes);
    if (!mistakes.empty()) return refuse(Errc::invalid, fmt::format("{}: {}", where, fmt::join(mistakes, "; ")));

    // Entries of `permissions:` may name a variable: what is asked for depends on the deployment's values.
    const auto variables = workflows::effective_variables(*manifest, given);
    if (!variables) return refuse(Errc::invalid, fmt::format("{}: {}", where, variables.error().what));
    const auto asked = workflows::asked_permissions(*manifest, *variables);
    if (!asked) return refuse(Errc::invalid, fmt::format("{}: {}", where, asked.error().what));

    if (spec["permissions"].is_object()) {
        auto granted = protocol::parse_permissions(spec["permissions"], "permissions");
        if (!granted) return refuse(Errc::invalid, granted.error().what);
        auto missing = protocol::missing(*asked, *granted);
        if (!missing.empty()) {
            std::string what = fmt::format("{}: {} asks for more than 'permissions' grants: {}", where, package, fmt::join(missing, ", "));
            return refuse(Errc::conflict, std::move(what), std::move(missing));
        }
        spec.set("granted", protocol::to_json(both_allow(*asked, *granted, spec["permissions"]["limits"])));
        return {};
    }
    if (!granted_before.is_null() && !accept) {
        if (auto before = protocol::parse_permissions(granted_before, "granted"); before) {
            auto missing = protocol::missing(*asked, *before);
            if (!missing.empty()) {
                std::string what = fmt::format("{}: {} asks for more than was granted before: {}; say accept (--accept) to grant it", where, package,
                                               fmt::join(missing, ", "));
                return refuse(Errc::conflict, std::move(what), std::move(missing));
            }
        }
    }
    spec.set("granted", protocol::to_json(*asked));
    return {};
}

tl::expected<std::vector<std::string>, Refusal> check_version_state(const ResourceDocument& deployment, const PackageRecord& package, std::string_view before)
{
    const std::string named = package.name + "@" + package.version;
    const std::string where = fmt::format("Deployment '{}': package '{}'", deployment.name, named);
    std::vector<std::string> warnings;
    switch (package.state) {
    case PackageState::released: break;
    case PackageState::draft:
        if (!deployment.spec["allowDraft"].as_bool())
            return refuse(Errc::conflict, fmt::format("{} {}: release it (`millwright packages release {}`), or say `allowDraft: true` in the deployment", where,
                                                      state_words(package), named));
        break;
    case PackageState::deprecated:
        warnings.push_back(fmt::format("{} {}", where, state_words(package)));
        break;
    case PackageState::decommissioned:
        if (before != named)
            return refuse(Errc::conflict, fmt::format("{} {}, and makes no jobs any more: name another version (millwright packages {})", where, state_words(package), package.name));
        warnings.push_back(fmt::format("{} {}: it makes no jobs", where, state_words(package)));
        break;
    }
    return warnings;
}

static tl::expected<void, Refusal> check_trigger(const ResourceDocument& document, const References& references)
{
    const std::string where = fmt::format("Trigger '{}'", document.name);
    const std::string& deployment = document.spec["deployment"].as_string();
    const Json target = references.spec(ResourceKind::deployment, deployment);
    if (target.is_null()) return refuse(Errc::conflict, fmt::format("{}: deployment '{}' is not there", where, deployment));
    for (const Json& calendar : document.spec["schedule"]["calendars"].as_array())
        if (!references.has(ResourceKind::calendar, calendar.as_string()))
            return refuse(Errc::conflict, fmt::format("{}: calendar '{}' is not there", where, calendar.as_string()));
    if (auto chat = check_chat_credential(document, references); !chat) return chat;
    if (auto event = check_event(document, references); !event) return event;
    const std::string& package = target["package"].as_string();
    const auto manifest = references.manifest(package.substr(0, package.find('@')), package.substr(package.find('@') + 1));
    const std::string& workflow = document.spec["workflow"].as_string();
    if (manifest && !manifest->workflows.contains(workflow)) {
        std::vector<std::string> known;
        for (const auto& [name, file] : manifest->workflows) known.push_back(name);
        return refuse(Errc::conflict, fmt::format("{}: {} has no workflow '{}'; it has {}", where, package, workflow, fmt::join(known, ", ")));
    }
    return {};
}

tl::expected<void, Refusal> check_references(ResourceDocument& document, const References& references, const Json& granted_before, bool accept)
{
    switch (document.kind) {
    case ResourceKind::calendar:
    case ResourceKind::publisher: return {};
    case ResourceKind::environment:
        for (const Json& name : document.spec["requireSigned"].as_array())
            if (!references.has(ResourceKind::publisher, name.as_string()))
                return refuse(Errc::conflict, fmt::format("Environment '{}': requireSigned: there is no Publisher '{}'", document.name, name.as_string()));
        for (const auto& [name, value] : document.spec["credentials"].as_object())
            if (!references.credential_kind(value.as_string()))
                return refuse(Errc::conflict, fmt::format("Environment '{}': credential '{}' refers to '{}', which is not there (millwright credentials set {} --kind KIND)", document.name, name,
                                                          value.as_string(), value.as_string()));
        return {};
    case ResourceKind::deployment: return check_deployment(document, references, granted_before, accept);
    case ResourceKind::trigger: return check_trigger(document, references);
    case ResourceKind::notifier: return check_notifier_references(document, references);
    }
    return {};
}

}  // namespace mill::factory
