#include "agent/policy.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "platform/base/fields.h"
#include "platform/base/text.h"
#include "platform/base/yaml.h"
#include "platform/files.h"

namespace mill::agent {

Result<protocol::Permissions> Policy::admit(const protocol::Offer& offer) const
{
    // An offer carries no signature yet, so every package is one that nobody signed.
    if (!unsigned_packages)
        return fail(Errc::denied, fmt::format("package {} {} is not signed, and policy.yaml of this machine does not say 'unsigned: true'",
                                              offer.package_name, offer.package_version));
    const bool named = packages.empty() || std::any_of(packages.begin(), packages.end(), [&](const std::string& pattern) {
        return matches_pattern(pattern, offer.package_name);
    });
    if (!named)
        return fail(Errc::denied, fmt::format("package {} is not in 'packages' of this machine's policy.yaml ({})", offer.package_name,
                                              fmt::join(packages, ", ")));
    if (!permissions) return offer.permissions;
    protocol::Permissions asked = offer.permissions;
    if (!asked.limits.stated) asked.limits = protocol::intersect(asked, *permissions).limits;  // a default bends, a written limit does not
    const std::vector<std::string> withheld = protocol::missing(asked, *permissions);
    if (!withheld.empty())
        return fail(Errc::denied, fmt::format("'permissions' of this machine's policy.yaml withholds: {}", fmt::join(withheld, "; ")));
    return asked;
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

std::string default_policy_text()
{
    return R"(# What this machine accepts, at most. It wins over the factory. Read when the agent starts.

# Packages that nobody signed run only with true.
unsigned: false

# Names of packages that may run here; '*' stands for any characters. Without this key: every package.
# packages: [ "order-status", "reports-*" ]

# What a job may have at most, as in package.yaml. Without this key: what its deployment grants.
# permissions:
#   network: [ "https://*.example.com" ]
#   files: { read: [ "/srv/exports" ], write: [ "/srv/reports" ] }
#   commands: [ "/usr/bin/python3" ]
#   system: [ usage ]
#   limits: { memory: 512MiB, cpu: 120s, time: 30m, processes: 64, output: 16MiB }
)";
}

}  // namespace mill::agent
