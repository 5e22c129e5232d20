// factory/api/environment_values.h -- a change of an Environment's variables and credentials changes its deployments in the same step. Private to factory/api.
#pragma once

#include <vector>

#include "factory/resources/resource.h"
#include "factory/store/store.h"

namespace mill::factory {

struct ChangedDeployment {
    ResourceDocument document;   ///< as it will be
    Document stored;
    Json changes;
};

/// As the results of an apply: [{kind, name, result, differences}].
Json results_of(const std::vector<ChangedDeployment>& changed);

/// Those of its stored deployments that are other than before with this environment; what `overlay` holds is checked by itself.
/// Errors: as `check_references` of each, naming it (what breaks; permissions that widen unless `accept`).
tl::expected<std::vector<ChangedDeployment>, Refusal> deployments_with(Reader& reader, const ResourceDocument& environment, const std::vector<ResourceDocument>& overlay, bool accept);

}  // namespace mill::factory
