// workflows/schemas/schemas.h -- JSON Schemas (draft 7) of the files that people write, for editors; `millwright schema` prints them.
#pragma once

#include "platform/base/json.h"

namespace mill::workflows {

/// Of a workflow document in our profile; the activities' part is made from their contracts.
Json workflow_schema();
/// Of package.yaml.
Json package_schema();

}  // namespace mill::workflows
