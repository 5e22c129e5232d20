// workflows/certain.h -- what keeps a value from fitting a JSON Schema when only the run knows some of its parts.
#pragma once

#include <functional>
#include <string>

#include "platform/base/json.h"
#include "workflows/document.h"

namespace mill::workflows {

using Mistake = std::function<void(const std::string& pointer, std::string what)>;

/// Tells what is wrong whatever the expressions in `value` give: members that are expressions are unknown, all others are
/// checked; required members must be there, and no other names where the schema is closed. `pointer`: where `value` stands.
void certain_mistakes(const Json& schema, const Template& value, const std::string& pointer, const Mistake& mistake);

}  // namespace mill::workflows
