// workflows/jq_text.h -- looks at a jq expression without running it: brackets, variables, functions.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill::workflows {

struct JqText {
    std::set<std::string> variables;  ///< every $name outside strings (and inside interpolations)
    std::set<std::string> bound;      ///< those that the expression itself binds (`as $x`, `def f($x)`, `reduce … as`)
    std::set<std::string> words;      ///< identifiers that may be functions
};

/// Errors: invalid (brackets or quotes that do not close; import, include; a function that the language leaves out, by name).
Result<JqText> read_jq(std::string_view expression);

}  // namespace mill::workflows
