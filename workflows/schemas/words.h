// workflows/schemas/words.h -- short words for the published schemas; private to schemas/.
#pragma once

#include <string>

#include "workflows/activities/contract.h"

namespace mill::workflows::schema {

using contract::boolean;
using contract::integer;
using contract::object;
using contract::one_of;
using contract::text;
using contract::typed;

inline Json ref(const char* name) { return Json::object({{"$ref", std::string("#/definitions/") + name}}); }
inline Json ref(const char* name, const char* description)  // draft 7 ignores what stands beside a $ref
{
    return Json::object({{"description", description}, {"allOf", Json::array({ref(name)})}});
}
inline Json described(const char* description) { return Json::object({{"description", description}}); }
inline Json map_of(Json members, const char* description) { return typed("object", description).set("additionalProperties", std::move(members)); }
inline Json list_of(Json items, const char* description) { return typed("array", description).set("items", std::move(items)); }
inline Json never(const char* why) { return Json::object({{"description", why}, {"not", Json::object()}}); }

/// True of a text that is an expression as a whole.
inline Json is_expression() { return Json::object({{"type", "string"}, {"pattern", "^\\s*\\$\\{"}}); }

/// `schema`, or an expression that gives such a value; so for its members and items.
Json or_expression(const Json& schema);

// The parts of the workflow document; each adds its definitions.
void add_data(Json& definitions);   // expressions, durations, schemas, filters
void add_calls(Json& definitions);  // http, openapi, the activities
void add_tasks(Json& definitions);  // tasks and lists of them

}  // namespace mill::workflows::schema
