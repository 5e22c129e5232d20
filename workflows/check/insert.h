// workflows/check/insert.h -- puts what is missing into a YAML text and leaves all else as it stands.
#pragma once

#include <string>
#include <string_view>

#include "workflows/check/check.h"

namespace mill::workflows {

/// The text with the remedy in it, comments and layout kept; the same text when it is there already. The outcome is read back
/// and compared before it is given out. Errors: invalid (the text's form does not admit it: says what to write by hand).
Result<std::string> insert(std::string_view yaml, const Remedy& remedy);

/// "permissions.network: [ https://x ]": the remedy as a person would say it.
std::string shown(const Remedy& remedy);

}  // namespace mill::workflows
