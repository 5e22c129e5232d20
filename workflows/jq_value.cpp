#include "workflows/jq_value.h"

#include <cmath>
#include <cstring>

#include <fmt/format.h>

namespace mill::workflows {
namespace {

constexpr std::int64_t kExact = 9'007'199'254'740'992;  // 2^53
constexpr std::size_t kRemembered = 256;

std::string text_of(jv borrowed)
{
    return {jv_string_value(borrowed), static_cast<std::size_t>(jv_string_length_bytes(jv_copy(borrowed)))};
}

const void* address(const Json& json)
{
    if (json.is_array()) return &json.as_array();
    if (json.is_object()) return &json.as_object();
    return nullptr;
}

}  // namespace

Json json_of(jv value) { return json_of(value, 0); }

Json json_of(jv value, std::size_t depth)
{
    if (depth > 2000) return "(nested too deep)";  // evaluations refuse 200 already; this keeps the stack whatever comes
    switch (jv_get_kind(value)) {
    case JV_KIND_FALSE: return false;
    case JV_KIND_TRUE: return true;
    case JV_KIND_NUMBER: {
        const double number = jv_number_value(value);
        if (std::abs(number) <= static_cast<double>(kExact) && number == std::trunc(number)) return static_cast<long long>(number);
        return number;
    }
    case JV_KIND_STRING: return text_of(value);
    case JV_KIND_ARRAY: {
        Json::Array items;
        const int size = jv_array_length(jv_copy(value));
        items.reserve(static_cast<std::size_t>(size));
        for (int i = 0; i < size; ++i) {
            const jv item = jv_array_get(jv_copy(value), i);
            items.push_back(json_of(item, depth + 1));
            jv_free(item);
        }
        return Json(std::move(items));
    }
    case JV_KIND_OBJECT: {
        Json::Object members;
        for (int i = jv_object_iter(value); jv_object_iter_valid(value, i) != 0; i = jv_object_iter_next(value, i)) {
            const jv key = jv_object_iter_key(value, i), member = jv_object_iter_value(value, i);
            members[text_of(key)] = json_of(member, depth + 1);
            jv_free(key);
            jv_free(member);
        }
        return Json(std::move(members));
    }
    default: return nullptr;
    }
}

namespace {

/// Looks along the first and the last members; `budget` nodes at most, so that a table of 10,000 rows costs no more than a small one.
std::size_t sampled_depth(jv value, std::size_t limit, int& budget)
{
    const jv_kind kind = jv_get_kind(value);
    if ((kind != JV_KIND_ARRAY && kind != JV_KIND_OBJECT) || --budget < 0) return 0;
    if (limit == 0) return 1;
    std::size_t deepest = 0;
    if (kind == JV_KIND_ARRAY) {
        const int size = jv_array_length(jv_copy(value));
        for (int i = 0; i < size && deepest < limit; i = i == 1 && size > 4 ? size - 2 : i + 1) {
            const jv item = jv_array_get(jv_copy(value), i);
            deepest = std::max(deepest, sampled_depth(item, limit - 1, budget));
            jv_free(item);
        }
    } else {
        for (int i = jv_object_iter(value), n = 0; jv_object_iter_valid(value, i) != 0 && deepest < limit && n < 16; i = jv_object_iter_next(value, i), ++n) {
            const jv member = jv_object_iter_value(value, i);
            deepest = std::max(deepest, sampled_depth(member, limit - 1, budget));
            jv_free(member);
        }
    }
    return deepest + 1;
}

}  // namespace

std::size_t depth_of(jv value, std::size_t limit)
{
    int budget = 600;
    return sampled_depth(value, limit, budget);
}

JqConverter::~JqConverter()
{
    for (auto& [key, entry] : recent_) jv_free(entry.value);
}

Result<jv> JqConverter::convert(const Json& json)
{
    switch (json.kind()) {
    case Json::Kind::null: return jv_null();
    case Json::Kind::boolean: return jv_bool(json.as_bool() ? 1 : 0);
    case Json::Kind::integer: {
        const std::int64_t value = json.as_integer();
        if (value > kExact || value < -kExact)
            return fail(Errc::invalid, fmt::format("the integer {} is beyond 2^53, which jq cannot keep exactly: carry it as a string", value));
        return jv_number(static_cast<double>(value));
    }
    case Json::Kind::number: return jv_number(json.as_number());
    case Json::Kind::string: return jv_string_sized(json.as_string().data(), static_cast<int>(json.as_string().size()));
    case Json::Kind::array: {
        jv out = jv_array_sized(static_cast<int>(json.size()));
        for (const Json& item : json.as_array()) {
            Result<jv> converted = of_json(item);
            if (!converted) {
                jv_free(out);
                return converted;
            }
            out = jv_array_append(out, *converted);
        }
        return out;
    }
    case Json::Kind::object: {
        jv out = jv_object();
        for (const auto& [key, member] : json.as_object()) {
            Result<jv> converted = of_json(member);
            if (!converted) {
                jv_free(out);
                return converted;
            }
            out = jv_object_set(out, jv_string_sized(key.data(), static_cast<int>(key.size())), *converted);
        }
        return out;
    }
    }
    return jv_null();
}

Result<jv> JqConverter::of_json(const Json& json)
{
    const void* key = json.size() >= 4 ? address(json) : nullptr;  // small ones are cheaper converted than remembered
    if (key == nullptr) return convert(json);
    if (const auto found = index_.find(key); found != index_.end()) {
        recent_.splice(recent_.begin(), recent_, found->second);
        return jv_copy(found->second->second.value);
    }
    Result<jv> converted = convert(json);
    if (!converted) return converted;
    recent_.emplace_front(key, Entry{json, jv_copy(*converted)});
    index_[key] = recent_.begin();
    if (recent_.size() > kRemembered) {
        jv_free(recent_.back().second.value);
        index_.erase(recent_.back().first);
        recent_.pop_back();
    }
    return converted;
}

Result<jv> JqConverter::owned(const Value& value)
{
    if (const auto* jq = value.as_jq()) return jv_copy((*jq)->value);
    if (const Json* json = value.as_json()) return of_json(*json);
    const Value::Composite& all = **value.as_composite();
    if (all.jq) return jv_copy(all.jq->value);
    jv out = all.is_object ? jv_object() : jv_array();
    for (const auto& [key, member] : all.members) {
        Result<jv> converted = owned(member);
        if (!converted) {
            jv_free(out);
            return converted;
        }
        out = jv_object_set(out, jv_string_sized(key.data(), static_cast<int>(key.size())), *converted);
    }
    for (const Value& item : all.items) {
        Result<jv> converted = owned(item);
        if (!converted) {
            jv_free(out);
            return converted;
        }
        out = jv_array_append(out, *converted);
    }
    all.jq = std::make_shared<const JqValue>(jv_copy(out));
    return out;
}

// ---- the half of Value that knows jq's form ----

Value::Composite::~Composite() = default;

Json Value::json() const
{
    if (const Json* json = as_json()) return *json;
    if (const auto* jq = as_jq()) {
        if (!(*jq)->json) (*jq)->json = json_of((*jq)->value);
        return *(*jq)->json;
    }
    const Composite& all = **as_composite();
    if (all.is_object) {
        Json::Object out;
        for (const auto& [key, member] : all.members) out[key] = member.json();
        return Json(std::move(out));
    }
    Json::Array out;
    out.reserve(all.items.size());
    for (const Value& item : all.items) out.push_back(item.json());
    return Json(std::move(out));
}

Json::Kind Value::kind() const
{
    if (const Json* json = as_json()) return json->kind();
    if (const auto* all = as_composite()) return (*all)->is_object ? Json::Kind::object : Json::Kind::array;
    switch (jv_get_kind((*as_jq())->value)) {
    case JV_KIND_FALSE:
    case JV_KIND_TRUE: return Json::Kind::boolean;
    case JV_KIND_NUMBER: return Json::Kind::number;
    case JV_KIND_STRING: return Json::Kind::string;
    case JV_KIND_ARRAY: return Json::Kind::array;
    case JV_KIND_OBJECT: return Json::Kind::object;
    default: return Json::Kind::null;
    }
}

std::size_t Value::size() const
{
    if (const Json* json = as_json()) return json->size();
    if (const auto* all = as_composite()) return (*all)->is_object ? (*all)->members.size() : (*all)->items.size();
    const jv value = (*as_jq())->value;
    if (jv_get_kind(value) == JV_KIND_ARRAY) return static_cast<std::size_t>(jv_array_length(jv_copy(value)));
    if (jv_get_kind(value) == JV_KIND_OBJECT) return static_cast<std::size_t>(jv_object_length(jv_copy(value)));
    return 0;
}

namespace {

/// Scalars leave jq's form at once: they are cheap and natively comparable.
Value wrap(jv owned)
{
    const jv_kind kind = jv_get_kind(owned);
    if (kind == JV_KIND_ARRAY || kind == JV_KIND_OBJECT) return Value::of_jq(std::make_shared<const JqValue>(owned));
    Value out(json_of(owned));
    jv_free(owned);
    return out;
}

}  // namespace

Value Value::item(std::size_t index) const
{
    if (const Json* json = as_json()) return (*json)[index];
    if (const auto* all = as_composite()) return index < (*all)->items.size() ? (*all)->items[index] : Value();
    const jv found = jv_array_get(jv_copy((*as_jq())->value), static_cast<int>(index));
    return jv_is_valid(found) != 0 ? wrap(found) : Value();
}

Result<Value> Value::at(const std::variant<std::string, long long>& step) const
{
    const Json::Kind kind = this->kind();
    if (kind == Json::Kind::null) return Value();
    if (const auto* key = std::get_if<std::string>(&step)) {
        if (kind != Json::Kind::object)
            return fail(Errc::invalid, fmt::format("cannot read '{}' of {} {}", *key, kind == Json::Kind::array ? "an" : "a", kind_name()));
        if (const Json* json = as_json()) return Value((*json)[*key]);
        if (const auto* all = as_composite()) {
            for (const auto& [name, member] : (*all)->members)
                if (name == *key) return member;
            return Value();
        }
        const jv found = jv_object_get(jv_copy((*as_jq())->value), jv_string_sized(key->data(), static_cast<int>(key->size())));
        return jv_is_valid(found) != 0 ? wrap(found) : Value();
    }
    long long index = std::get<long long>(step);
    if (kind != Json::Kind::array)
        return fail(Errc::invalid, fmt::format("cannot read item {} of {} {}", index, kind == Json::Kind::object ? "an" : "a", kind_name()));
    if (index < 0) index += static_cast<long long>(size());
    return index < 0 || index >= static_cast<long long>(size()) ? Value() : item(static_cast<std::size_t>(index));
}

}  // namespace mill::workflows
