#include "platform/base/json.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace mill {
namespace {

const Json kNull;
const std::string kEmptyString;
const Json::Array kEmptyArray;
const Json::Object kEmptyObject;
constexpr std::size_t kIndexAbove = 32;

}  // namespace

Json::Json(unsigned long value) : Json(static_cast<unsigned long long>(value)) {}

Json::Json(unsigned long long value)
{
    if (value <= static_cast<unsigned long long>(std::numeric_limits<std::int64_t>::max()))
        value_ = static_cast<std::int64_t>(value);
    else
        value_ = static_cast<double>(value);
}

Json::Json(Array value) : value_(std::make_shared<Array>(std::move(value))) {}
Json::Json(Object value) : value_(std::make_shared<Object>(std::move(value))) {}

Json Json::array(std::initializer_list<Json> items)
{
    return Json(Array(items));
}

Json Json::object(std::initializer_list<Member> members)
{
    Object object;
    for (const auto& [key, value] : members) object[key] = value;
    return Json(std::move(object));
}

std::string_view Json::kind_name() const
{
    switch (kind()) {
    case Kind::null: return "null";
    case Kind::boolean: return "boolean";
    case Kind::integer:
    case Kind::number: return "number";
    case Kind::string: return "string";
    case Kind::array: return "array";
    case Kind::object: return "object";
    }
    return "null";
}

bool Json::as_bool() const
{
    const bool* value = std::get_if<bool>(&value_);
    return value != nullptr && *value;
}

std::int64_t Json::as_integer() const
{
    if (const auto* integer = std::get_if<std::int64_t>(&value_)) return *integer;
    if (const auto* number = std::get_if<double>(&value_)) {
        if (*number >= -9.2233720368547758e18 && *number < 9.2233720368547758e18 && std::trunc(*number) == *number)
            return static_cast<std::int64_t>(*number);
    }
    return 0;
}

double Json::as_number() const
{
    if (const auto* integer = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*integer);
    if (const auto* number = std::get_if<double>(&value_)) return *number;
    return 0;
}

const std::string& Json::as_string() const
{
    const auto* value = std::get_if<std::string>(&value_);
    return value != nullptr ? *value : kEmptyString;
}

const Json::Array& Json::as_array() const
{
    const auto* value = std::get_if<std::shared_ptr<Array>>(&value_);
    return value != nullptr ? **value : kEmptyArray;
}

const Json::Object& Json::as_object() const
{
    const auto* value = std::get_if<std::shared_ptr<Object>>(&value_);
    return value != nullptr ? **value : kEmptyObject;
}

const Json* Json::find(std::string_view key) const
{
    const auto* value = std::get_if<std::shared_ptr<Object>>(&value_);
    return value != nullptr ? static_cast<const Object&>(**value).find(key) : nullptr;
}

const Json& Json::operator[](std::string_view key) const
{
    const Json* member = find(key);
    return member != nullptr ? *member : kNull;
}

const Json& Json::operator[](std::size_t index) const
{
    const Array& items = as_array();
    return index < items.size() ? items[index] : kNull;
}

std::size_t Json::size() const
{
    if (is_array()) return as_array().size();
    return is_object() ? as_object().size() : 0;
}

Json::Array& Json::mutable_array()
{
    auto* value = std::get_if<std::shared_ptr<Array>>(&value_);
    if (value == nullptr) {
        value_ = std::make_shared<Array>();
        value = std::get_if<std::shared_ptr<Array>>(&value_);
    } else if (value->use_count() > 1) {
        *value = std::make_shared<Array>(**value);
    }
    return **value;
}

Json::Object& Json::mutable_object()
{
    auto* value = std::get_if<std::shared_ptr<Object>>(&value_);
    if (value == nullptr) {
        value_ = std::make_shared<Object>();
        value = std::get_if<std::shared_ptr<Object>>(&value_);
    } else if (value->use_count() > 1) {
        *value = std::make_shared<Object>(**value);
    }
    return **value;
}

Json& Json::set(std::string_view key, Json value)
{
    mutable_object()[key] = std::move(value);
    return *this;
}

Json& Json::push(Json value)
{
    mutable_array().push_back(std::move(value));
    return *this;
}

bool Json::erase(std::string_view key)
{
    return contains(key) && mutable_object().erase(key);
}

bool Json::same(const Json& other) const
{
    if (kind() != other.kind()) return false;
    return value_ == other.value_;
}

bool operator==(const Json& a, const Json& b)
{
    if (a.is_number() && b.is_number()) {
        if (a.is_integer() && b.is_integer()) return a.as_integer() == b.as_integer();
        return a.as_number() == b.as_number();
    }
    if (a.kind() != b.kind()) return false;
    if (a.same(b)) return true;
    if (a.is_array()) return a.as_array() == b.as_array();
    if (!a.is_object() || a.size() != b.size()) return false;
    for (const auto& [key, value] : a.as_object()) {
        const Json* other = b.find(key);
        if (other == nullptr || !(value == *other)) return false;
    }
    return true;
}

std::optional<std::size_t> Json::Object::index_of(std::string_view key) const
{
    if (!index_.empty()) {
        const auto found = index_.find(std::string(key));
        if (found == index_.end()) return std::nullopt;
        return found->second;
    }
    for (std::size_t i = 0; i < members_.size(); ++i)
        if (members_[i].first == key) return i;
    return std::nullopt;
}

const Json* Json::Object::find(std::string_view key) const
{
    const auto index = index_of(key);
    return index ? &members_[*index].second : nullptr;
}

Json* Json::Object::find(std::string_view key)
{
    const auto index = index_of(key);
    return index ? &members_[*index].second : nullptr;
}

Json& Json::Object::operator[](std::string_view key)
{
    if (const auto index = index_of(key)) return members_[*index].second;
    members_.emplace_back(std::string(key), Json());
    if (!index_.empty()) {
        index_.emplace(std::string(key), members_.size() - 1);
    } else if (members_.size() > kIndexAbove) {
        for (std::size_t i = 0; i < members_.size(); ++i) index_.emplace(members_[i].first, i);
    }
    return members_.back().second;
}

bool Json::Object::erase(std::string_view key)
{
    const auto index = index_of(key);
    if (!index) return false;
    members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(*index));
    index_.clear();
    if (members_.size() > kIndexAbove)
        for (std::size_t i = 0; i < members_.size(); ++i) index_.emplace(members_[i].first, i);
    return true;
}

}  // namespace mill
