// workflows/expression.h -- jq expressions of a package: one guarded program for all of them, plain paths without it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "workflows/document.h"
#include "workflows/value.h"

namespace mill::workflows {

/// Where in an expression's text a mistake is, and the code of its finding.
struct ExpressionPlace {
    std::size_t offset = 0;
    const char* code = "expression";
};

/// Fills in what is trivial (literal, path) or the variables that the text uses out of `in_scope`.
/// Errors: invalid (brackets, `if` without `else`, a left-out function, a variable that is not available here).
Status prepare(Expression& expression, const std::vector<std::string>& in_scope, ExpressionPlace* place = nullptr);

struct CompileError {
    const Expression* expression = nullptr;
    std::string what;
    std::size_t offset = 0;  ///< in the expression's text: of the mistake, or of its line
};

inline constexpr Milliseconds kExpressionLimit{1000};      ///< of a processor
inline constexpr Milliseconds kExpressionPatience{10'000};  ///< by the clock, where nothing sooner ends

/// The compiled expressions. Thread: one at a time. Runs libjq: untrusted expressions belong into a sandboxed process.
class Program {
public:
    virtual ~Program() = default;
    /// Ends after kExpressionLimit of a processor's time, and after `limit` by the clock: a busy machine makes no expression wrong.
    /// `arguments` in the order of `expression.variables` (for a path with a variable: its one root). Several outputs and none
    /// are errors. Errors: invalid, timeout; `what` names expression, place and the data's shape, not its values.
    virtual Result<Value> evaluate(const Expression& expression, const Value& data, std::span<const Value> arguments, Milliseconds limit) = 0;
};

/// Compiles all expressions that are not trivial, equal ones once, and sets their `branch`. When it fails, `errors` names
/// the first 20 culprits. A program without expressions is made without libjq.
std::unique_ptr<Program> compile(const std::vector<Expression*>& expressions, std::vector<CompileError>& errors);

}  // namespace mill::workflows
