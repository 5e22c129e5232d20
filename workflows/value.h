// workflows/value.h -- data on its way between tasks: JSON, a value that jq made, or a collection of both; converted on demand.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "platform/base/json.h"
#include "workflows/path.h"

namespace mill::workflows {

struct JqValue;  // a jv and its form as JSON: workflows/jq_value.h

/// Data nested deeper than this is refused: it must fit into messages, which have 64 levels.
inline constexpr std::size_t kDeepestData = 56;
bool too_deep(const Json& json, std::size_t limit = kDeepestData);

/// Cheap to copy. What jq made stays in jq's form until somebody asks for JSON, so that a loop that collects 10,000 rows does
/// not convert them 10,000 times. Thread: one (jq's reference counts are not atomic).
class Value {
public:
    using Members = std::vector<std::pair<std::string, Value>>;
    using Items = std::vector<Value>;
    struct Composite;

    Value() = default;
    Value(Json json) : data_(std::move(json)) {}
    static Value object(Members members);
    static Value array(Items items);
    static Value of_jq(std::shared_ptr<const JqValue> value) { Value out; out.data_ = std::move(value); return out; }

    Json json() const;  ///< converted once
    Json::Kind kind() const;
    std::string_view kind_name() const;
    bool is_null() const { return kind() == Json::Kind::null; }
    bool truthy() const;  ///< as jq: all but false and null
    std::size_t size() const;
    std::size_t composite_depth() const;  ///< 0 when it is none
    Value item(std::size_t index) const;

    /// One step of a plain path, with jq's rules (null has null everywhere). Errors: invalid ("cannot read 'x' of a number").
    Result<Value> at(const std::variant<std::string, long long>& step) const;
    Result<Value> follow(const PlainPath& path) const;

    const Json* as_json() const { return std::get_if<Json>(&data_); }
    const std::shared_ptr<const JqValue>* as_jq() const { return std::get_if<std::shared_ptr<const JqValue>>(&data_); }
    const std::shared_ptr<const Composite>* as_composite() const { return std::get_if<std::shared_ptr<const Composite>>(&data_); }

private:
    std::variant<Json, std::shared_ptr<const JqValue>, std::shared_ptr<const Composite>> data_;
};

struct Value::Composite {
    bool is_object = true;
    std::size_t depth = 1;  ///< composites within composites
    Members members;
    Items items;
    mutable std::shared_ptr<const JqValue> jq;  // memo of the conversion
    ~Composite();
};

}  // namespace mill::workflows
