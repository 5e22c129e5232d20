// agent/policy.h -- what this machine's owner allows (policy.yaml). It wins over the factory.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/offer.h"

namespace mill::agent {

struct Policy {
    bool unsigned_packages = false;                   ///< `unsigned: true` runs packages that nobody signed
    std::vector<std::string> packages;                ///< names, '*' matches any run of characters; empty: every package
    std::optional<protocol::Permissions> permissions; ///< at most these; none: what the deployment grants
    std::vector<std::string> run_as;                  ///< users that an environment may run its jobs as, by pattern; empty: the usual one only

    /// What the attempt may have. Errors: denied, naming each item and what withholds it.
    Result<protocol::Permissions> admit(const protocol::Offer& offer) const;
    /// For programs: [{item, by}] of what it withholds from the attempt; `by` names the entry of policy.yaml.
    Json withheld_from(const protocol::Offer& offer) const;
};

/// What the policy says of a job before there is one, item by item (`millwright-agent policy test`).
struct Verdict {
    struct Item {
        std::string what;  ///< "network https://a.example.com"
        std::string why;   ///< why it is withheld; empty: it is admitted
    };
    std::string package;   ///< name and version
    std::vector<Item> items;

    bool admitted() const;
};
/// `document`: a package.yaml, or a Deployment with `package` and `permissions`. Errors: invalid.
Result<Verdict> judge(const Policy& policy, const Json& document);

/// `where` names the file in messages. Errors: invalid (all mistakes with their lines).
Result<Policy> parse_policy(std::string_view yaml, std::string_view where);
/// The policy of a data folder; without a file the strictest. Errors: invalid, denied, unavailable.
Result<Policy> load_policy(const std::string& data_folder);
/// What holds for one factory: DIR/factories/ID/policy.yaml where there is one, instead of the machine's. Errors: as above.
Result<Policy> load_policy(const std::string& data_folder, const std::string& factory_id);
/// What `enrol` writes when there is none: strict, with every key explained.
std::string default_policy_text();

}  // namespace mill::agent
