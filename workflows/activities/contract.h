// workflows/activities/contract.h -- short words to write contracts and JSON Schemas with; for activities/ and schemas/.
#pragma once

#include "workflows/activities/registry.h"

namespace mill::workflows::contract {

inline Json typed(const char* type, const char* description) { return Json::object({{"type", type}, {"description", description}}); }
inline Json text(const char* description) { return typed("string", description); }
inline Json granted(const char* permission, const char* description) { return text(description).set(kPermissionKeyword, permission); }
inline Json integer(const char* description) { return typed("integer", description); }
inline Json boolean(const char* description) { return typed("boolean", description); }
inline Json one_of(const char* description, Json values) { return text(description).set("enum", std::move(values)); }
inline Json texts(const char* description) { return typed("array", description).set("items", Json::object({{"type", "string"}})); }

inline Json object(std::initializer_list<Json::Member> properties, Json required = Json::array(), bool closed = true)
{
    Json out = Json::object({{"type", "object"}, {"properties", Json::object(properties)}});
    if (!required.empty()) out.set("required", std::move(required));
    if (closed) out.set("additionalProperties", false);
    return out;
}

inline Json example(const char* name, Json with) { return Json::object({{"call", name}, {"with", std::move(with)}}); }

}  // namespace mill::workflows::contract
