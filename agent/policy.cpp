#include "agent/policy.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agent/identity.h"
#include "platform/base/fields.h"
#include "platform/base/text.h"
#include "platform/base/yaml.h"
#include "platform/files.h"
#include "platform/fingerprint.h"
#include "protocol/canary.h"

namespace mill::agent {

namespace {

constexpr std::string_view kHere = "policy.yaml of this machine";

protocol::SigningVerdict verdict_on(const Policy& policy, const protocol::Offer& offer)
{
    return protocol::judge_signatures(policy.signing, offer.package_name, offer.package_version, signers_of(offer), kHere);
}

std::string name_words(const Policy& policy, std::string_view name)
{
    const bool named = policy.packages.empty() ||
                       std::any_of(policy.packages.begin(), policy.packages.end(), [&](const std::string& pattern) { return matches_pattern(pattern, name); });
    return named ? "" : fmt::format("package {} is not in 'packages' of this machine's policy.yaml ({})", name, fmt::join(policy.packages, ", "));
}

std::string user_words(const Policy& policy, std::string_view user)
{
    const bool named = user.empty() || std::any_of(policy.run_as.begin(), policy.run_as.end(), [&](const std::string& pattern) { return matches_pattern(pattern, user); });
    return named ? "" : fmt::format("running as user {} is not in 'runAs' of this machine's policy.yaml", user);
}

/// A default limit bends to the policy's, a written one does not.
protocol::Permissions bent(const Policy& policy, protocol::Permissions asked)
{
    if (policy.permissions && !asked.limits.stated) asked.limits = protocol::intersect(asked, *policy.permissions).limits;
    return asked;
}

std::vector<std::string> withheld(const Policy& policy, const protocol::Permissions& asked)
{
    return policy.permissions ? protocol::missing(bent(policy, asked), *policy.permissions) : std::vector<std::string>{};
}

}  // namespace

Result<protocol::Permissions> Policy::admit(const protocol::Offer& offer) const
{
    std::vector<std::string> words{user_words(*this, offer.run_as)};
    // The canary is a part of this program: its bytes are known, and it gets no permission.
    if (offer.package_digest != protocol::kCanaryDigest) {
        words.push_back(verdict_on(*this, offer).refused);
        words.push_back(name_words(*this, offer.package_name));
    } else if (!protocol::missing(offer.permissions, {}).empty()) {
        words.emplace_back("a canary gets no permission");
    }
    if (const auto items = withheld(*this, offer.permissions); !items.empty())
        words.push_back(fmt::format("'permissions' of this machine's policy.yaml withholds: {}", fmt::join(items, "; ")));
    std::erase(words, "");
    if (!words.empty()) return fail(Errc::denied, fmt::format("{}", fmt::join(words, "; ")));
    return bent(*this, offer.permissions);
}

Json Policy::withheld_from(const protocol::Offer& offer) const
{
    Json out = Json::array();
    const auto add = [&](std::string item, std::string_view by) { out.push(Json::object({{"item", std::move(item)}, {"by", fmt::format("policy.yaml: {}", by)}})); };
    if (const auto verdict = verdict_on(*this, offer); !verdict.refused.empty() && offer.package_digest != protocol::kCanaryDigest)
        add(fmt::format("package {} {}, {}", offer.package_name, offer.package_version, offer.signatures.empty() ? "unsigned" : "as it is signed"), verdict.by);
    if (!name_words(*this, offer.package_name).empty()) add(fmt::format("package {}", offer.package_name), "packages");
    if (!user_words(*this, offer.run_as).empty()) add(fmt::format("user {}", offer.run_as), "runAs");
    for (std::string& item : withheld(*this, offer.permissions)) add(std::move(item), "permissions");
    return out;
}

Json Policy::signers_of(const protocol::Offer& offer) const { return verdict_on(*this, offer).signers; }

void Policy::pin(const Publishers& pinned)
{
    if (!own_publishers)
        for (const auto& [name, keys] : pinned.keys)
            for (const std::string& key : keys) signing.publishers[name].push_back(platform::fingerprint(key));
    for (const std::string& key : pinned.revoked) signing.revoked.insert(platform::fingerprint(key));
}

void Policy::revoke(const std::set<std::string>& keys) { signing.revoked.insert(keys.begin(), keys.end()); }

bool Verdict::admitted() const
{
    return std::all_of(items.begin(), items.end(), [](const Item& item) { return item.why.empty(); });
}

/// The first line of a verdict: the signatures.
static Verdict::Item signature_item(const Policy& policy, const std::string& name, const std::string& version, const std::optional<protocol::SignatureFile>& signatures)
{
    protocol::Offer offer;
    offer.package_name = name;
    offer.package_version = version;
    if (signatures) {
        offer.package_digest = signatures->digest;
        offer.signatures = signatures->signatures;
    }
    auto verdict = verdict_on(policy, offer);
    const std::string what = !signatures                  ? "a package that nobody signed"
                             : verdict.publishers.empty() ? "a package that no known publisher signed"
                                                          : fmt::format("a package signed by {}", fmt::join(verdict.publishers, ", "));
    return {what, std::move(verdict.refused)};
}

Result<Verdict> judge(const Policy& policy, const Json& document, const std::optional<protocol::SignatureFile>& signatures)
{
    const Json* kind = document.find("kind");
    const bool deployment = kind != nullptr && kind->as_string() == "Deployment";
    if (kind != nullptr && !deployment) return fail(Errc::invalid, fmt::format("a package.yaml or a Deployment is judged, not kind {}", kind->as_string().substr(0, 60)));
    const std::string& package = document["package"].as_string();
    const std::string name = deployment ? package.substr(0, package.find('@')) : document["name"].as_string();
    if (name.empty()) return fail(Errc::invalid, deployment ? "a Deployment has 'package: NAME@VERSION'" : "a package.yaml has 'name'");
    const std::string version = !deployment ? document["version"].as_string() : package.find('@') == std::string::npos ? "" : package.substr(package.find('@') + 1);

    Json asked = document["permissions"];
    if (asked.is_string()) return fail(Errc::invalid, "'permissions: as-requested' takes those of the package: judge its package.yaml");
    std::vector<std::string> open;  // entries whose value is the deployment's
    if (asked["network"].is_array()) {
        Json known = Json::array();
        for (const Json& entry : asked["network"].as_array()) {
            if (entry.is_string()) known.push(entry);
            else open.push_back("network: the value of the variable " + entry["variable"].as_string());
        }
        asked.set("network", std::move(known));
    }
    auto permissions = protocol::parse_permissions(asked.is_null() ? Json::object() : asked, "permissions");
    if (!permissions) return fail(permissions.error());

    Verdict out;
    out.package = version.empty() ? name : name + " " + version;
    if (signatures && (signatures->name != name || (!version.empty() && signatures->version != version)))
        return fail(Errc::invalid, fmt::format("the signatures are of {} {}, not of {}", signatures->name, signatures->version, out.package));
    out.items.push_back(signature_item(policy, name, version.empty() && signatures ? signatures->version : version, signatures));
    out.items.push_back({"a package of this name", name_words(policy, name)});
    const std::vector<std::string> refused = withheld(policy, *permissions);
    protocol::Permissions nothing;
    nothing.limits = permissions->limits;
    for (std::string& item : protocol::missing(*permissions, nothing))
        if (std::find(refused.begin(), refused.end(), item) == refused.end()) out.items.push_back({std::move(item), ""});
    for (const std::string& item : refused) out.items.push_back({item, "'permissions' of this machine's policy.yaml does not have it"});
    for (std::string& item : open)
        out.items.push_back({std::move(item), policy.permissions ? "not known here; judge the deployment with its value written out" : ""});
    return out;
}

namespace {

/// "NAME", or {name: NAME, signedBy: [PUBLISHER…]}.
void read_packages(Fields& fields, Policy& policy)
{
    const Json said = fields.any("packages", Json::array());
    const Json list = said.is_array() ? said : Json::array({said});
    for (const Json& item : list.as_array()) {
        if (item.is_string()) {
            policy.packages.push_back(item.as_string());
            continue;
        }
        Fields one(item, "packages");
        const std::string name = one.text("name");
        const std::vector<std::string> signers = one.texts("signedBy");
        if (auto done = one.done(); !done) {
            fields.mistake("packages", done.error().what);
            continue;
        }
        policy.packages.push_back(name);
        if (one.has("signedBy") && signers.empty()) fields.mistake("packages", fmt::format("'{}': signedBy names no publisher", name));
        if (!signers.empty()) policy.signing.demands.push_back({name, signers});
    }
}

/// A key that is written wrongly is a mistake: the file would say something else than its author meant.
std::string fingerprint_in(Fields& fields, std::string_view member, const std::string& text)
{
    auto key = protocol::parse_key(text);
    if (key) return platform::fingerprint(*key);
    fields.mistake(member, key.error().what);
    return {};
}

void read_publishers(Fields& fields, Policy& policy)
{
    policy.own_publishers = fields.has("publishers");
    const Json publishers = fields.object("publishers", Json::object());
    for (const auto& [name, said] : publishers.as_object()) {
        const Json keys = said.is_array() ? said : Json::array({said});
        if (keys.empty() || keys.size() > 2) fields.mistake("publishers", fmt::format("'{}' must have one key, or two while one takes the other's place", name));
        for (const Json& key : keys.as_array()) policy.signing.publishers[name].push_back(fingerprint_in(fields, "publishers", key.as_string()));
    }
    for (const std::string& key : fields.texts("revoked")) policy.signing.revoked.insert(fingerprint_in(fields, "revoked", key));
    if (!policy.own_publishers) return;
    for (const auto& demand : policy.signing.demands)
        for (const std::string& name : demand.signed_by)
            if (!policy.signing.publishers.contains(name)) fields.mistake("packages", fmt::format("'{}': 'publishers' has no '{}'", demand.package, name));
}

}  // namespace

Result<Policy> parse_policy(std::string_view yaml, std::string_view where)
{
    auto document = parse_yaml(yaml);
    if (!document) return fail(where, std::move(document.error()));
    if (document->value.is_null()) return Policy{};  // only comments
    Fields fields(document->value, std::string(where));
    Policy policy;
    policy.signing.unsigned_packages = fields.boolean("unsigned", false);
    read_packages(fields, policy);
    read_publishers(fields, policy);
    policy.run_as = fields.texts("runAs");
    policy.person = read_person_rules(fields);
    policy.watch = fields.texts("watch");
    for (const std::string& folder : policy.watch)
        if (!folder.starts_with('/') || folder.find("/../") != std::string::npos || folder.ends_with("/.."))
            fields.mistake("watch", fmt::format("has '{}', expected absolute paths of folders without '..'", folder.substr(0, 200)));
    const Json cap = fields.any("permissions", Json());
    if (!cap.is_null()) {
        auto read = protocol::parse_permissions(cap, "permissions");
        if (read) policy.permissions = std::move(*read);
        else fields.mistake("permissions", read.error().what);
    }
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return policy;
}

Result<Policy> load_policy(const std::string& data_folder)
{
    const std::string path = data_folder + "/policy.yaml";
    auto text = platform::read_file(path, 1024 * 1024);
    if (!text && text.error().code == Errc::not_found) return Policy{};
    if (!text) return fail(path, std::move(text.error()));
    return parse_policy(*text, path);
}

Result<Policy> load_policy(const std::string& data_folder, const std::string& factory_id)
{
    const std::string own = data_folder + "/factories/" + factory_id;
    auto policy = load_policy(platform::exists(own + "/policy.yaml") ? own : data_folder);
    if (!policy) return policy;
    auto pinned = pinned_publishers(own);
    if (!pinned) return fail(std::move(pinned.error()));
    policy->pin(*pinned);
    return policy;
}

Result<Policy> load_policy_of_folder(const std::string& data_folder)
{
    const auto ids = enrolled_factories(data_folder);
    return ids && ids->size() == 1 ? load_policy(data_folder, ids->front()) : load_policy(data_folder);
}

std::string default_policy_text()
{
    return R"(# What this machine accepts, at most. It wins over the factory. Read when the agent starts.

# Packages that no publisher signed, of those this machine knows, run only with true.
unsigned: false

# Publishers and their keys (`millwright keys new`, `millwright keys FILE`): one each, or two while one takes the other's place. Without
# this key: those that the factory named when this agent was enrolled (pinned in factories/*/agent.json). With it: these alone.
# publishers: { acme: "ed25519:…" }

# Keys that count no longer, beside those that the factory says were revoked.
# revoked: [ "ed25519:…" ]

# Names of packages that may run here; '*' stands for any characters. With signedBy one of these publishers has to have signed it, whatever
# 'unsigned' says; of several entries that fit a name each one holds. Without this key: every package.
# packages: [ "order-status", { name: "reports-*", signedBy: [ acme ] } ]

# Users that an environment may say its jobs run as (runAs), when the agent is started as root; '*' as above. Without this key: none but
# the usual one, millwright-run.
# runAs: [ "mw-*" ]

# Where a person is beside the agent (mode attended): jobs that others start are asked about for so long (within: 5s to 1h), started without
# asking (jobs: always), or refused (jobs: never). What the person starts is never asked about.
# consent: { jobs: ask, within: 2m }

# When nobody is even asked; days and hours as the clock here shows them, without days every day.
# quietHours: [ { days: [ mon-fri ], from: "12:00", to: "13:00" } ]
# Folders, with what is in them, in which the factory may have this agent watch for files that start jobs. Without this key: none.
# watch: [ "/srv/in" ]

# What a job may have at most, as in package.yaml. Without this key: what its deployment grants.
# permissions:
#   network: [ "https://*.example.com" ]
#   files: { read: [ "/srv/exports" ], write: [ "/srv/reports" ] }
#   commands: [ "/usr/bin/python3" ]
#   credentials: [ "erp-login" ]
#   reveal: [ "erp-login" ]  # whose values commands may be given
#   metrics: { publish: [ "invoices.*" ], read: [ "millwright.jobs.*" ] }
#   system: [ usage ]
#   limits: { memory: 512MiB, cpu: 120s, time: 30m, processes: 64, output: 16MiB }
)";
}

}  // namespace mill::agent
