// agent/publishers.h -- whose signatures of packages this machine knows: pinned at enrolment, and what was revoked since.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "protocol/offer.h"
#include "protocol/signing_rules.h"

namespace mill::agent {

inline constexpr std::size_t kMostPublishers = 100, kMostRevoked = 1000;

/// Keys are 32 bytes.
struct Publishers {
    std::map<std::string, std::vector<std::string>> keys;   ///< name → keys; one, or two while one takes the other's place
    std::set<std::string> revoked;
};

/// As the factory says it at enrolment and DIR/factories/ID/agent.json keeps it: [{name, keys: [], revoked: []}]. What is not understood is left out.
Publishers read_publishers(const Json& list);
Json to_json(const Publishers& publishers);

/// What is pinned in DIR/factories/ID, with what was revoked since. Without the files: none. Errors: corrupt, denied, unavailable.
Result<Publishers> pinned_publishers(const std::string& folder);
/// Adds to DIR/factories/ID/revoked-keys; what is there stays. The keys that were new. Errors: too_large, denied, unavailable.
Result<std::set<std::string>> keep_revoked(const std::string& folder, const std::set<std::string>& keys);
/// [KEY…] as a session's and a poll's answer have them. What is no key is left out.
std::set<std::string> read_revoked(const Json& list);

/// Which keys signed the offer's package, and whether each signature holds for what the offer says it is.
std::vector<protocol::SignedBy> signers_of(const protocol::Offer& offer);

}  // namespace mill::agent
