// workflows/schema_weight.h -- what a check of a value against a JSON Schema can cost, known before it is made.
#pragma once

#include <cstddef>
#include <optional>

#include "platform/base/json.h"

namespace mill::workflows {

/// A schema whose checks take a bounded number of steps.
struct SchemaWeight {
    std::size_t nodes = 0;      ///< of the schema, each reference replaced by what it names
    std::size_t pairwise = 0;   ///< uses of uniqueItems: each item is compared with each
};

/// Nothing when no bound is known: regular expressions (`pattern`, `patternProperties`), references that come back to
/// themselves or lead nowhere, more than 10,000 nodes.
std::optional<SchemaWeight> weigh_schema(const Json& document);

/// Steps of one check: every item of the value, and each 256 bytes of its text, against every node of the schema.
std::size_t steps_of(const SchemaWeight& schema, const Json& value);

}  // namespace mill::workflows
