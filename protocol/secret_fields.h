// protocol/secret_fields.h -- what a JSON schema marks as for no eyes: `format: password`, `writeOnly: true`.
#pragma once

#include <string>
#include <vector>

#include "platform/base/json.h"

namespace mill::protocol {

/// Whether the schema marks the value itself.
bool marks_secret(const Json& schema);
/// Whether it marks anything, wherever that is; true for one that is deeper than 100.
bool has_secrets(const Json& schema);

/// `value` for people and for those who are told: "…" where the schema marks it, or where the schema is more than is looked through
/// (20,000 steps, 100 deep, another document's `$ref`). Names that a pattern might mean are taken as if it did.
Json without_secrets(const Json& schema, const Json& value);

/// Where in `value` that is (JSON pointers, RFC 6901); more than 100 are not counted: then it is the whole of it ("").
std::vector<std::string> secret_places(const Json& schema, const Json& value);

/// All texts that stand at these places of `value`, or below; numbers as they are written.
std::vector<std::string> texts_at(const Json& value, const std::vector<std::string>& places);

}  // namespace mill::protocol
