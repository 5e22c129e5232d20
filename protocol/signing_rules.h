// protocol/signing_rules.h -- which publishers a machine demands: the agent decides by it, the factory foretells by what the agent says of it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/json.h"

namespace mill::protocol {

/// Keys are named by their fingerprints ("SHA256:…").
struct SigningRules {
    bool unsigned_packages = false;                              ///< what no known publisher signed runs, too
    std::map<std::string, std::vector<std::string>> publishers;  ///< name → keys
    std::set<std::string> revoked;
    struct Demand {
        std::string package;                                     ///< pattern of names
        std::vector<std::string> signed_by;                      ///< one of these publishers
    };
    std::vector<Demand> demands;                                 ///< all that fit a package's name hold
};
Json to_json(const SigningRules& rules);
SigningRules read_signing_rules(const Json& json);   ///< what is not understood is left out; null: nothing is known, see `says_rules`
bool says_rules(const Json& json);

/// How it stands with one key that signed a package.
struct SignedBy {
    std::string key;        ///< fingerprint
    bool fits = true;       ///< the signature holds for this name, version, digest and manifest
};

struct SigningVerdict {
    std::vector<std::string> publishers;   ///< whose signatures count
    std::string refused;                   ///< why not, and what mends it; empty: it may run
    std::string_view by;                   ///< what withholds it: packages, revoked, signature, unsigned
    Json signers = Json::array();          ///< evidence: [{key, publisher?, standing: counts, revoked, does_not_fit or unknown}]
};
/// `where`: "policy.yaml of this machine".
SigningVerdict judge_signatures(const SigningRules& rules, std::string_view package, std::string_view version, const std::vector<SignedBy>& signatures, std::string_view where);

}  // namespace mill::protocol
