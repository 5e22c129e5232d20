#include "workflows/value.h"

namespace mill::workflows {

Value Value::object(Members members)
{
    Value out;
    auto all = std::make_shared<Composite>();
    all->members = std::move(members);
    out.data_ = std::shared_ptr<const Composite>(std::move(all));
    return out;
}

Value Value::array(Items items)
{
    Value out;
    auto all = std::make_shared<Composite>();
    all->is_object = false;
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
