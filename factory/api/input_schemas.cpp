#include "factory/api/input_schemas.h"

namespace mill::factory {

constexpr std::size_t kKept = 32;
constexpr std::size_t kMostSteps = 100'000;   // some tens of milliseconds at the very most; an ordinary call has some hundreds

bool InputSchema::is_light(const Json& input) const
{
    return document.is_null() || (schema && workflows::steps_of(weight, input) <= kMostSteps);
}

InputSchemas compile_inputs(const Json& inputs)
{
    InputSchemas out;
    for (const auto& [workflow, document] : inputs.as_object()) {
        InputSchema& entry = out[workflow];
        entry.document = document;
        const auto weight = document.is_null() ? std::nullopt : workflows::weigh_schema(document);
        if (!weight) continue;
        entry.weight = *weight;
        if (auto schema = workflows::compile_schema(document)) entry.schema = std::move(*schema);
    }
    return out;
}

InputSchemaCache::Entry InputSchemaCache::find(const std::string& digest)
{
    const std::scoped_lock lock(mutex_);
    const auto found = by_digest_.find(digest);
    if (found == by_digest_.end()) return {};
    order_.splice(order_.begin(), order_, found->second);
    return found->second->second;
}

InputSchemaCache::Entry InputSchemaCache::add(const std::string& digest, const Json& inputs)
{
    auto made = std::make_shared<const InputSchemas>(compile_inputs(inputs));
    const std::scoped_lock lock(mutex_);
    if (const auto known = by_digest_.find(digest); known != by_digest_.end()) return known->second->second;
    order_.emplace_front(digest, made);
    by_digest_[digest] = order_.begin();
    while (order_.size() > kKept) {
        by_digest_.erase(order_.back().first);
        order_.pop_back();
    }
    return made;
}

}  // namespace mill::factory
