// workflows/jq_text.h -- looks at a jq expression without running it: brackets, variables, functions.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "platform/base/result.h"

namespace mill::workflows {

struct JqText {
    std::set<std::string> variables;  ///< every $name outside strings (and inside interpolations)
    std::set<std::string> bound;      ///< those that the expression itself binds (`as $x`, `def f($x)`, `reduce … as`)
    std::set<std::string> words;      ///< identifiers that may be functions
    std::optional<std::size_t> if_without_else;  ///< where the first such `if` stands: jq 1.7 takes it, 1.6 does not
};

/// Errors: invalid (brackets or quotes that do not close; import, include; a function that the language leaves out, by name).
/// `stopped`: how far it came then.
Result<JqText> read_jq(std::string_view expression, std::size_t* stopped = nullptr);

/// "a ${ .x } b" as the expression that evaluates: `"a \(.x) b"`. Nothing when a `${` does not close.
std::optional<std::string> interpolated(std::string_view text);

/// True when a shell's command has a `${` that no shell understands, such as `${ .x }`.
bool foreign_to_shells(std::string_view command);

}  // namespace mill::workflows
