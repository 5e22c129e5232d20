// factory/core/signing.h -- Publishers as the factory knows them, and what an Environment demands of signatures.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "factory/store/records.h"

namespace mill::factory {

/// The Publisher that has this key (32 bytes) among its `keys`, which it did not revoke; empty: nobody.
std::string publisher_of(const std::vector<Document>& publishers, const std::string& key);
std::set<std::string> revoked_prints(const std::vector<Document>& publishers);   ///< fingerprints of all that were revoked

/// What `requireSigned` of an Environment says against a version (NAME@VERSION) that has these signatures; empty: nothing.
std::string why_not_signed(const Json& environment, const std::vector<Document>& publishers, const std::vector<SignatureRecord>& signatures, const std::string& named);

}  // namespace mill::factory
