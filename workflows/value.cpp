#include "workflows/value.h"

#include <algorithm>

namespace mill::workflows {

bool too_deep(const Json& json, std::size_t limit)
{
    if (!json.is_array() && !json.is_object()) return false;
    if (limit == 0) return true;
    for (const Json& item : json.as_array())
        if (too_deep(item, limit - 1)) return true;
    for (const auto& [key, member] : json.as_object())
        if (too_deep(member, limit - 1)) return true;
    return false;
}

std::size_t Value::composite_depth() const
{
    const auto* all = as_composite();
    return all == nullptr ? 0 : (*all)->depth;
}

Value Value::object(Members members)
{
    Value out;
    auto all = std::make_shared<Composite>();
    for (const auto& [key, member] : members) all->depth = std::max(all->depth, member.composite_depth() + 1);
    all->members = std::move(members);
    out.data_ = std::shared_ptr<const Composite>(std::move(all));
    return out;
}

Value Value::array(Items items)
{
    Value out;
    auto all = std::make_shared<Composite>();
    all->is_object = false;
    for (const Value& item : items) all->depth = std::max(all->depth, item.composite_depth() + 1);
    all->items = std::move(items);
    out.data_ = std::shared_ptr<const Composite>(std::move(all));
    return out;
}

std::string_view Value::kind_name() const
{
    switch (kind()) {
    case Json::Kind::null: return "null";
    case Json::Kind::boolean: return "boolean";
    case Json::Kind::integer:
    case Json::Kind::number: return "number";
    case Json::Kind::string: return "string";
    case Json::Kind::array: return "array";
    case Json::Kind::object: return "object";
    }
    return "null";
}

bool Value::truthy() const
{
    const Json::Kind what = kind();
    if (what == Json::Kind::null) return false;
    return what != Json::Kind::boolean || json().as_bool();
}

Result<Value> Value::follow(const PlainPath& path) const
{
    Value here = *this;
    for (const auto& step : path.steps) {
        Result<Value> next = here.at(step);
        if (!next) return next;
        here = std::move(*next);
    }
    return here;
}

}  // namespace mill::workflows
