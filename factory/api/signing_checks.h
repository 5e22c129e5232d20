// factory/api/signing_checks.h -- what Publishers and `requireSigned` say against a document that is about to be written. Private to factory/api.
#pragma once

#include <optional>
#include <vector>

#include "factory/resources/resource.h"
#include "factory/store/store.h"

namespace mill::factory {

/// `overlay`: what the same request writes besides. `admin`: who writes it may say whose signatures count.
/// Errors: conflict (a key of another publisher; one that would no longer be revoked; a version that is not signed as its environment demands),
/// denied (not an administrator).
tl::expected<void, Refusal> check_signing(Reader& reader, const ResourceDocument& document, const std::optional<Document>& stored, const std::vector<ResourceDocument>& overlay,
                                          bool admin);

}  // namespace mill::factory
