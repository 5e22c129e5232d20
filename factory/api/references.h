// factory/api/references.h -- what documents may refer to: the store, with documents of the same apply laid over it.
#pragma once

#include <vector>

#include "factory/core.h"
#include "factory/resources/resource.h"

namespace mill::factory {

/// `reader` and `overlay` outlive the answer.
References references_in(Reader& reader, const std::vector<ResourceDocument>& overlay);

}  // namespace mill::factory
