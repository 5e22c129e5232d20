// workflows/jq_value.h -- libjq's values as ours and back; private to expression and value.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <unordered_map>

extern "C" {
#include <jv.h>
}

#include "workflows/value.h"

namespace mill::workflows {

struct JqValue {
    explicit JqValue(jv owned) : value(owned) {}
    JqValue(const JqValue&) = delete;
    JqValue& operator=(const JqValue&) = delete;
    ~JqValue() { jv_free(value); }
    jv value;
    mutable std::optional<Json> json;
};

Json json_of(jv borrowed);
Json json_of(jv borrowed, std::size_t depth);
/// How deep it is nested, as far as a bounded look along its edges shows; stops counting above `limit`.
std::size_t depth_of(jv borrowed, std::size_t limit);

/// Converts to jq's form and remembers what it converted (the same shared array or object costs nothing the second time).
class JqConverter {
public:
    JqConverter() = default;
    JqConverter(const JqConverter&) = delete;
    JqConverter& operator=(const JqConverter&) = delete;
    ~JqConverter();
    /// Errors: invalid (an integer beyond 2^53, named).
    Result<jv> owned(const Value& value);

private:
    struct Entry { Json keep; jv value; };
    Result<jv> convert(const Json& json);
    Result<jv> of_json(const Json& json);
    std::list<std::pair<const void*, Entry>> recent_;  // newest first
    std::unordered_map<const void*, std::list<std::pair<const void*, Entry>>::iterator> index_;
};

}  // namespace mill::workflows
