#include "platform/base/fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace mill {

Fields::Fields(const Json& object, std::string where) : object_(object), where_(std::move(where))
{
    if (!object.is_object()) mistakes_.push_back(fmt::format("expected an object, found {}", object.kind_name()));
}

const Json* Fields::take(std::string_view key, bool required)
{
    seen_.emplace(key);
    const Json* value = object_.find(key);
    if (value != nullptr && value->is_null() && !required) value = nullptr;
    if (value == nullptr && required && object_.is_object()) mistakes_.push_back(fmt::format("'{}' is missing", key));
    return value;
}

void Fields::mistake(std::string_view key, std::string_view what)
{
    mistakes_.push_back(fmt::format("'{}' {}", key, what));
}

std::string Fields::text(std::string_view key)
{
    const Json* value = take(key, true);
    if (value == nullptr) return {};
    if (!value->is_string()) {
        mistake(key, fmt::format("must be a string, found {}", value->kind_name()));
        return {};
    }
    if (value->as_string().empty()) mistake(key, "is empty");
    return value->as_string();
}

std::string Fields::text(std::string_view key, std::string_view fallback)
{
    const Json* value = take(key, false);
    if (value == nullptr) return std::string(fallback);
    if (!value->is_string()) {
        mistake(key, fmt::format("must be a string, found {}", value->kind_name()));
        return {};
    }
    return value->as_string();
}

std::int64_t Fields::integer(std::string_view key, std::int64_t min, std::int64_t max)
{
    const Json* value = take(key, true);
    if (value == nullptr) return min;
    const bool whole = value->is_integer() || (value->is_number() && Json(value->as_integer()) == *value);
    if (!whole || value->as_integer() < min || value->as_integer() > max) {
        mistake(key, fmt::format("must be a whole number from {} to {}", min, max));
        return min;
    }
    return value->as_integer();
}

std::int64_t Fields::integer(std::string_view key, std::int64_t min, std::int64_t max, std::int64_t fallback)
{
    return take(key, false) == nullptr ? fallback : integer(key, min, max);
}

bool Fields::boolean(std::string_view key)
{
    const Json* value = take(key, true);
    if (value == nullptr) return false;
    if (!value->is_bool()) mistake(key, fmt::format("must be true or false, found {}", value->kind_name()));
    return value->as_bool();
}

bool Fields::boolean(std::string_view key, bool fallback)
{
    return take(key, false) == nullptr ? fallback : boolean(key);
}

Json Fields::any(std::string_view key)
{
    const Json* value = take(key, true);
    return value == nullptr ? Json() : *value;
}

Json Fields::any(std::string_view key, Json fallback)
{
    const Json* value = take(key, false);
    return value == nullptr ? fallback : *value;
}

Json Fields::object(std::string_view key)
{
    Json value = any(key);
    if (!value.is_object() && object_.contains(key))
        mistake(key, fmt::format("must be an object, found {}", value.kind_name()));
    return value.is_object() ? value : Json::object();
}

Json Fields::object(std::string_view key, Json fallback)
{
    return take(key, false) == nullptr ? fallback : object(key);
}

Json Fields::array(std::string_view key)
{
    Json value = any(key);
    if (!value.is_array() && object_.contains(key))
        mistake(key, fmt::format("must be a list, found {}", value.kind_name()));
    return value.is_array() ? value : Json::array();
}

Json Fields::array(std::string_view key, Json fallback)
{
    return take(key, false) == nullptr ? fallback : array(key);
}

std::string Fields::one_of(std::string_view key, std::initializer_list<std::string_view> allowed)
{
    std::string value = text(key);
    for (const auto item : allowed)
        if (item == value) return value;
    if (object_.contains(key)) mistake(key, fmt::format("must be one of {}; found '{}'", fmt::join(allowed, ", "), value));
    return {};
}

std::string Fields::one_of(std::string_view key, std::initializer_list<std::string_view> allowed, std::string_view fallback)
{
    return take(key, false) == nullptr ? std::string(fallback) : one_of(key, allowed);
}

std::vector<std::string> Fields::texts(std::string_view key)
{
    const Json* value = take(key, false);
    std::vector<std::string> out;
    if (value == nullptr) return out;
    if (value->is_string()) return {value->as_string()};
    if (!value->is_array()) mistake(key, fmt::format("must be a list of strings, found {}", value->kind_name()));
    for (const Json& item : value->as_array()) {
        if (!item.is_string())
            mistake(key, fmt::format("must hold strings only, found {}", item.kind_name()));
        else
            out.push_back(item.as_string());
    }
    return out;
}

Status Fields::done()
{
    if (strict_)
        for (const auto& [key, value] : object_.as_object())
            if (!seen_.contains(key)) mistakes_.push_back(fmt::format("'{}' is not known here", key));
    if (mistakes_.empty()) return {};
    return fail(Errc::invalid, fmt::format("{}: {}", where_, fmt::join(mistakes_, "; ")));
}

}  // namespace mill
