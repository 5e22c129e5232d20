// factory/api/version_checks.h -- what the versions of its package say against a deployment. Private to factory/api.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "factory/resources/resource.h"
#include "factory/store/store.h"

namespace mill::factory::handler {

/// A deployment's new version must still have the workflows that its triggers start: those it has not, in words.
std::vector<std::string> lost_workflows(const ResourceDocument& deployment, Reader& reader, const References& references, const std::vector<ResourceDocument>& overlay);

/// A version that a rollback left does not come back by a file that still names it.
std::optional<Error> rolled_back(Reader& reader, const Document& stored, const std::string& package);

/// What the state of its version and its history say against a deployment; answers warnings.
tl::expected<std::vector<std::string>, Refusal> check_version(Reader& reader, const ResourceDocument& document, const std::optional<Document>& stored, bool force);

}  // namespace mill::factory::handler
