#include "agent/policy.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "platform/base/fields.h"
#include "platform/base/text.h"
#include "platform/base/yaml.h"
#include "platform/files.h"
#include "protocol/canary.h"

namespace mill::agent {

namespace {

// An offer carries no signature yet, so every package is one that nobody signed.
std::string unsigned_words(const Policy& policy, std::string_view package)
{
    return policy.unsigned_packages ? "" : fmt::format("package {} is not signed, and policy.yaml of this machine does not say 'unsigned: true'", package);
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
        words.push_back(unsigned_words(*this, offer.package_name + " " + offer.package_version));
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
    if (!unsigned_words(*this, offer.package_name).empty()) add(fmt::format("package {} {}, unsigned", offer.package_name, offer.package_version), "unsigned");
    if (!name_words(*this, offer.package_name).empty()) add(fmt::format("package {}", offer.package_name), "packages");
    if (!user_words(*this, offer.run_as).empty()) add(fmt::format("user {}", offer.run_as), "runAs");
    for (std::string& item : withheld(*this, offer.permissions)) add(std::move(item), "permissions");
    return out;
}

bool Verdict::admitted() const
{
    return std::all_of(items.begin(), items.end(), [](const Item& item) { return item.why.empty(); });
}

Result<Verdict> judge(const Policy& policy, const Json& document)
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
    out.items.push_back({"a package that nobody signed", unsigned_words(policy, out.package)});
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

Result<Policy> parse_policy(std::string_view yaml, std::string_view where)
{
    auto document = parse_yaml(yaml);
    if (!document) return fail(where, std::move(document.error()));
    if (document->value.is_null()) return Policy{};  // only comments
    Fields fields(document->value, std::string(where));
    Policy policy;
    policy.unsigned_packages = fields.boolean("unsigned", false);
    policy.packages = fields.texts("packages");
    policy.run_as = fields.texts("runAs");
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
    return load_policy(platform::exists(own + "/policy.yaml") ? own : data_folder);
}

std::string default_policy_text()
{
    return R"(# What this machine accepts, at most. It wins over the factory. Read when the agent starts.

# Packages that nobody signed run only with true.
unsigned: false

# Names of packages that may run here; '*' stands for any characters. Without this key: every package.
# packages: [ "order-status", "reports-*" ]

# Users that an environment may say its jobs run as (runAs), when the agent is started as root; '*' as above. Without this key: none but
# the usual one, millwright-run.
# runAs: [ "mw-*" ]

# What a job may have at most, as in package.yaml. Without this key: what its deployment grants.
# permissions:
#   network: [ "https://*.example.com" ]
#   files: { read: [ "/srv/exports" ], write: [ "/srv/reports" ] }
#   commands: [ "/usr/bin/python3" ]
#   credentials: [ "erp-login" ]
#   reveal: [ "erp-login" ]  # whose values commands may be given
#   system: [ usage ]
#   limits: { memory: 512MiB, cpu: 120s, time: 30m, processes: 64, output: 16MiB }
)";
}

}  // namespace mill::agent
