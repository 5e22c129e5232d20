// agent/policy.h -- what this machine's owner allows (policy.yaml). It wins over the factory.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/person/rules.h"
#include "agent/publishers.h"
#include "protocol/offer.h"

namespace mill::agent {

struct Policy {
    protocol::SigningRules signing;                   ///< unsigned, publishers, revoked, and `signedBy` of packages
    bool own_publishers = false;                      ///< `publishers` is said: those that the factory named at enrolment do not count
    std::vector<std::string> packages;                ///< names, '*' matches any run of characters; empty: every package
    std::optional<protocol::Permissions> permissions; ///< at most these; none: what the deployment grants
    PersonRules person;                               ///< where a person is beside the agent
    std::vector<std::string> watch;                   ///< folders in which the factory may have files watched for; empty: none
    std::vector<std::string> run_as;                  ///< users that an environment may run its jobs as, by pattern; empty: the usual one only

    /// What the attempt may have. Errors: denied, naming each item and what withholds it.
    Result<protocol::Permissions> admit(const protocol::Offer& offer) const;
    /// What was pinned at enrolment counts where the file names no publishers; what was revoked counts always.
    void pin(const Publishers& pinned);
    /// From now on; these fingerprints.
    void revoke(const std::set<std::string>& keys);
    /// For programs: who signed the attempt's package: [{key, publisher?, standing}]; empty: nobody.
    Json signers_of(const protocol::Offer& offer) const;
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
/// `document`: a package.yaml, or a Deployment with `package` and `permissions`. `signatures`: of the package, when there are any.
/// Errors: invalid (also signatures of another package).
Result<Verdict> judge(const Policy& policy, const Json& document, const std::optional<protocol::SignatureFile>& signatures = {});

/// `where` names the file in messages. Errors: invalid (all mistakes with their lines).
Result<Policy> parse_policy(std::string_view yaml, std::string_view where);
/// The policy of a data folder; without a file the strictest. Errors: invalid, denied, unavailable.
Result<Policy> load_policy(const std::string& data_folder);
/// What holds for one factory: DIR/factories/ID/policy.yaml where there is one, instead of the machine's; with what is pinned of that factory.
/// Errors: as above, corrupt.
Result<Policy> load_policy(const std::string& data_folder, const std::string& factory_id);
/// As a person asks about a folder: with what is pinned when it has one factory.
Result<Policy> load_policy_of_folder(const std::string& data_folder);
/// What `enrol` writes when there is none: strict, with every key explained.
std::string default_policy_text();

}  // namespace mill::agent
