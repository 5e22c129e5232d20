// workflows/schema.h -- JSON Schema, compiled once, checked often.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/base/json.h"

namespace mill::workflows {

/// Thread: any (checking changes nothing).
class Schema {
public:
    virtual ~Schema() = default;
    /// All mistakes, each "POINTER: what", at most 20; empty when the value fits.
    virtual std::vector<std::string> mistakes(const Json& value) const = 0;
};

/// JSON Schema draft 7; keywords of later drafts and remote `$ref`s are refused by name. Errors: invalid.
Result<std::shared_ptr<const Schema>> compile_schema(const Json& document);

}  // namespace mill::workflows
