// factory/api/input_schemas.h -- what the inputs of a package's workflows must look like, the latest few packages.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "workflows/schema.h"
#include "workflows/schema_weight.h"

namespace mill::factory {

/// The input.schema of one workflow.
struct InputSchema {
    Json document;                                      ///< null: any input fits
    std::shared_ptr<const workflows::Schema> schema;    ///< null: checked in the sandbox only
    workflows::SchemaWeight weight;                     ///< of `schema`

    /// Plain data and few steps: checked at once, in this process.
    bool is_light(const Json& input) const;
};
using InputSchemas = std::map<std::string, InputSchema, std::less<>>;   ///< by workflow

/// `inputs` as the check of the package found them: {WORKFLOW: document or null}.
InputSchemas compile_inputs(const Json& inputs);

/// Thread: any.
class InputSchemaCache {
public:
    using Entry = std::shared_ptr<const InputSchemas>;
    Entry find(const std::string& digest);
    Entry add(const std::string& digest, const Json& inputs);

private:
    std::mutex mutex_;
    std::list<std::pair<std::string, Entry>> order_;   // latest first
    std::unordered_map<std::string, std::list<std::pair<std::string, Entry>>::iterator> by_digest_;
};

}  // namespace mill::factory
